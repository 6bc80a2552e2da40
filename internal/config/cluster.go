package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Trust is how members of a cluster know each other, and how they show themselves to etcd.
type Trust struct {
	ClusterTLSCA    string `name:"cluster-tls-ca" placeholder:"FILE" help:"CA (PEM) that has signed the certificates of all members, and of nobody else. With it, members speak TLS 1.3 and accept nobody without such a certificate."`
	ClusterTLSCert  string `name:"cluster-tls-cert" placeholder:"FILE" help:"Certificate (PEM) of this member, for server and client authentication and the DNS name of --cluster-tls-name. It is read again for each connection, so it can be renewed at any time."`
	ClusterTLSKey   string `name:"cluster-tls-key" placeholder:"FILE" help:"Private key (PEM) of --cluster-tls-cert."`
	ClusterTLSName  string `name:"cluster-tls-name" default:"node.latchkey.internal" placeholder:"NAME" help:"DNS name that the certificate of every member must bear; another for each cluster, when several share a CA (${default})."`
	ClusterInsecure bool   `help:"Allow members to reach each other from other machines without certificates: whoever can reach --cluster-addr can then open every door."`

	EtcdTLSCA        string `name:"etcd-tls-ca" placeholder:"FILE" help:"CA (PEM) of the etcd servers (default: those that the system trusts)."`
	EtcdTLSCert      string `name:"etcd-tls-cert" placeholder:"FILE" help:"Certificate (PEM) to show to etcd."`
	EtcdTLSKey       string `name:"etcd-tls-key" placeholder:"FILE" help:"Private key (PEM) of --etcd-tls-cert."`
	EtcdUser         string `placeholder:"NAME" help:"User of etcd; the password is in --etcd-password-file."`
	EtcdPasswordFile string `placeholder:"FILE" help:"File with the password of --etcd-user; or $$LATCHKEY_ETCD_PASSWORD."`
}

// ClusterTLS tells whether members show each other certificates.
func (t *Trust) ClusterTLS() bool {
	return t.ClusterTLSCA != "" && t.ClusterTLSCert != "" && t.ClusterTLSKey != ""
}

// OutOfReach tells whether other members are told an address that only this machine reaches, although etcd is on another one.
func (s *Server) OutOfReach() bool {
	return loopback(cmp.Or(s.ClusterAdvertiseAddr, s.ClusterAddr)) && slices.ContainsFunc(s.EtcdEndpoints, func(e string) bool {
		u, err := url.Parse(e)
		return err == nil && !loopback(hostPort(u))
	})
}

// EtcdPassword returns the password of the user of etcd, which may also come from the environment.
func (t *Trust) EtcdPassword(environment string) (string, error) {
	if t.EtcdPasswordFile != "" {
		content, err := os.ReadFile(t.EtcdPasswordFile)
		if err != nil {
			return "", fmt.Errorf("--etcd-password-file: %w", err)
		}
		environment = strings.TrimRight(string(content), "\r\n")
	}
	if t.EtcdUser != "" && environment == "" {
		return "", fmt.Errorf("--etcd-user %s needs a password: in --etcd-password-file or $%s_ETCD_PASSWORD", t.EtcdUser, EnvPrefix)
	}
	return environment, nil
}

// validateCluster checks what members need to trust each other, and etcd.
func (s *Server) validateCluster(complain func(format string, args ...any)) {
	given := s.ClusterTLSCA != "" || s.ClusterTLSCert != "" || s.ClusterTLSKey != ""
	if given && !s.ClusterTLS() {
		complain("--cluster-tls-ca, --cluster-tls-cert and --cluster-tls-key belong together: one of them is missing")
	}
	if given && len(s.EtcdEndpoints) == 0 {
		complain("--cluster-tls-... is for a server that has other members, and this one would be alone: give --etcd-endpoints")
	}
	for _, a := range []struct{ flag, addr string }{{"cluster-addr", s.ClusterAddr}, {"cluster-advertise-addr", s.ClusterAdvertiseAddr}} {
		if len(s.EtcdEndpoints) > 0 && !given && !s.ClusterInsecure && a.addr != "" && !loopback(a.addr) {
			complain("--%s %s can be reached from other machines, and whoever reaches it could open every door: give --cluster-tls-ca, --cluster-tls-cert "+
				"and --cluster-tls-key, or --cluster-insecure if nobody but the members can reach it", a.flag, a.addr)
		}
	}
	secure := s.validateEtcd(complain)
	if (s.EtcdTLSCert == "") != (s.EtcdTLSKey == "") {
		complain("--etcd-tls-cert and --etcd-tls-key belong together: one of them is missing")
	}
	if !secure && (s.EtcdTLSCA != "" || s.EtcdTLSCert != "") {
		complain("--etcd-tls-... needs https:// in --etcd-endpoints")
	}
	if s.EtcdPasswordFile != "" && s.EtcdUser == "" {
		complain("--etcd-password-file needs --etcd-user")
	}
}

// validateEtcd checks the endpoints; it reports whether they are spoken to with TLS.
func (s *Server) validateEtcd(complain func(format string, args ...any)) (secure bool) {
	plain := false
	for _, e := range s.EtcdEndpoints {
		if !webURL(e) {
			complain("--etcd-endpoints: %s is no http:// or https:// URL", redacted(e))
			continue
		}
		u, _ := url.Parse(e)
		if u.User != nil {
			complain("--etcd-endpoints: the user goes into --etcd-user, and not into %s", redacted(e))
		}
		if u.Scheme == "https" {
			secure = true
			continue
		}
		plain = true
		if s.EtcdUser != "" && !s.ClusterInsecure && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
			complain("--etcd-user: the password would travel in plain HTTP to %s: use https://, or --cluster-insecure if nobody else can listen", redacted(e))
		}
	}
	if secure && plain {
		complain("--etcd-endpoints: either all of them are https://, or none")
	}
	return secure
}

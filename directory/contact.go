package directory

import (
	"net/mail"
	"regexp"
	"strings"

	"github.com/latchkey/latchkey/lock"
)

// maxEmail is the longest address that RFC 5321 lets through.
const maxEmail = 254

var (
	phoneNumber  = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // E.164
	phoneSpacing = strings.NewReplacer(" ", "", "-", "", ".", "", "/", "")
	phoneTrunk   = regexp.MustCompile(`^(\+[1-9][0-9]{0,2})\(0\)`)
	phoneBraces  = strings.NewReplacer("(", "", ")", "")
)

// normal brings a contact to the form in which it is compared and kept.
func (c Contact) normal() (Contact, error) {
	var err error
	if c.Email != "" {
		if c.Email, err = NormalEmail(c.Email); err != nil {
			return Contact{}, err
		}
	}
	if c.Phone != "" {
		if c.Phone, err = NormalPhone(c.Phone); err != nil {
			return Contact{}, err
		}
	}
	if c == (Contact{}) {
		return Contact{}, &lock.Error{Kind: lock.Invalid, Reason: "contact-required", Field: "email", Message: "name an e-mail address or a phone number"}
	}
	return c, nil
}

// NormalEmail gives an e-mail address in small letters. Some mail servers could tell A from a, and no person expects that.
func NormalEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Address != s || len(s) > maxEmail {
		return "", &lock.Error{Kind: lock.Invalid, Reason: "email-invalid", Field: "email", Message: "email must be an address such as ann@example.org"}
	}
	return s, nil
}

// withoutTrunk drops the 0 that is for who calls from within the country. In Italy, San Marino and the Vatican it is part of the number.
func withoutTrunk(s string) string {
	for _, kept := range []string{"+39", "+378", "+379"} {
		if strings.HasPrefix(s, kept) {
			return s
		}
	}
	return phoneTrunk.ReplaceAllString(s, "$1")
}

// NormalPhone gives a phone number with its country: a plus sign and up to 15 digits. What is written +49 (0)30 901820 is +49 30 901820.
func NormalPhone(s string) (string, error) {
	s = phoneSpacing.Replace(strings.TrimSpace(s))
	if rest, ok := strings.CutPrefix(s, "00"); ok {
		s = "+" + rest
	}
	s = phoneBraces.Replace(withoutTrunk(s))
	if !phoneNumber.MatchString(s) {
		return "", &lock.Error{Kind: lock.Invalid, Reason: "phone-invalid", Field: "phoneNumber", Message: "phoneNumber must have its country, such as +49 30 901820"}
	}
	return s, nil
}

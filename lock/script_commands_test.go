package lock

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// arguments are the words after a command. Named ones are taken as they are read, so that what is left is unknown.
type arguments struct {
	r     *script
	plain []string
	named map[string]string
}

func (a *arguments) next() string {
	require.NotEmpty(a.r.t, a.plain, "line %d: an argument is missing", a.r.line)
	s := a.plain[0]
	a.plain = a.plain[1:]
	return s
}

func (a *arguments) get(name, otherwise string) string {
	value, ok := a.named[name]
	if !ok {
		return otherwise
	}
	delete(a.named, name)
	return value
}

func (a *arguments) has(name string) bool {
	_, ok := a.named[name]
	return ok
}

func (a *arguments) number(name string) *int64 {
	if !a.has(name) {
		return nil
	}
	n, err := strconv.ParseInt(a.get(name, ""), 10, 64)
	require.NoError(a.r.t, err, "line %d", a.r.line)
	return &n
}

func (a *arguments) duration(name string, otherwise time.Duration) time.Duration {
	d, err := time.ParseDuration(a.get(name, otherwise.String()))
	require.NoError(a.r.t, err, "line %d", a.r.line)
	return d
}

// by reads a caller: super, guest, org:x, user:x or several of them with commas.
func (a *arguments) by(otherwise string) (c Caller) {
	for _, s := range strings.Split(a.get("by", otherwise), ",") {
		switch kind, name, _ := strings.Cut(s, ":"); kind {
		case "super":
			c.Super = true
		case "org":
			c.OrgID = OrgID(name)
		case "user":
			c.UserID = UserID(name)
		}
	}
	return c
}

func (a *arguments) users() []UserID {
	var users []UserID
	for _, u := range strings.FieldsFunc(a.get("users", ""), func(r rune) bool { return r == ',' }) {
		users = append(users, UserID(u))
	}
	return users
}

// keys reads permanent keys: card-1/5 has the number 5.
func (a *arguments) keys(s string) (keys []Key) {
	for _, k := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		uuid, index, ok := strings.Cut(k, "/")
		key := Key{UUID: uuid}
		if n, err := strconv.ParseInt(index, 10, 64); ok && err == nil {
			key.IndexNumber = &n
		}
		keys = append(keys, key)
	}
	return keys
}

func (a *arguments) command() CommandID { return CommandID(a.get("command", "c1")) }

// keyCommandNamed turns * into the newest command about a key.
func keyCommandNamed(r *script, id string) CommandID {
	if commands := r.s.keys().Commands; id == "*" && len(commands) > 0 {
		return commands[len(commands)-1].ID
	}
	return CommandID(id)
}

// device reads a session and what its device can do.
func (a *arguments) device() Device {
	without, with := a.get("without", ""), a.get("with", "")
	config, err := strconv.ParseUint(a.get("config", "0"), 10, 64)
	require.NoError(a.r.t, err, "line %d", a.r.line)
	hello, err := strconv.ParseInt(a.get("hello", "0"), 10, 64)
	require.NoError(a.r.t, err, "line %d", a.r.line)
	return Device{
		Session: sessionNamed(a.r, a.next()), BootID: a.get("boot", "b1"), Firmware: "1.4.2",
		Deadline: !strings.Contains(without, "deadline"), Journal: !strings.Contains(without, "journal"),
		Keys:     strings.Contains(with, "keys"),
		Reported: Reported{Bolt: a.get("bolt", ""), Config: config}, HelloMono: hello,
	}
}

func sessionNamed(r *script, s string) Session {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "s"), 10, 64)
	require.NoError(r.t, err, "line %d", r.line)
	return Session{Node: "n", ID: n}
}

func (a *arguments) session() Session {
	if !a.has("session") {
		return a.r.session
	}
	return sessionNamed(a.r, a.get("session", ""))
}

// keyNamed turns k1 into a UUID; anything else stays as it is.
func keyNamed(s string) TempKeyID {
	if n, err := strconv.Atoi(strings.TrimPrefix(s, "k")); err == nil {
		return name(n)
	}
	return TempKeyID(s)
}

func deviceUUID(s string) UUID {
	if n, err := strconv.Atoi(strings.TrimPrefix(s, "u")); err == nil {
		return UUID(fmt.Sprintf("00000000-0000-4000-9000-%012d", n))
	}
	return UUID(s)
}

// hash is 32 times a letter.
func hash(letter string) []byte { return []byte(strings.Repeat(letter, secretHashBytes)) }

var scriptCommands = map[string]func(*script, *arguments){
	"at":    func(r *script, a *arguments) { r.now = clock(r.t, a.next()) },
	"after": func(r *script, a *arguments) { r.now = r.now.Add(scriptDuration(r, a.next())) },
	"tick":  func(r *script, _ *arguments) { r.do(new(Tick)) },
	"next-deadline": func(r *script, _ *arguments) {
		if due, ok := NextDeadline(r.s); ok {
			r.print(instant(due))
			return
		}
		r.print("none")
	},
	"restart": func(r *script, _ *arguments) { r.restart() },

	"create-lock": func(r *script, a *arguments) {
		c := &CreateLock{
			By: a.by("org:acme"), ID: 5, UUID: deviceUUID(a.get("uuid", "u1")), Index: 1, SerialNumber: a.get("serial", "SN-1"),
			VendorName: a.get("vendor", ""), OwnerID: UserID(a.get("owner", "")),
		}
		if n := a.number("id"); n != nil {
			c.ID = ID(*n)
		}
		if n := a.number("index"); n != nil {
			c.Index = *n
		}
		c.Keys = a.keys(a.get("keys", ""))
		r.do(c)
	},
	"set-owner": func(r *script, a *arguments) {
		r.do(&SetOwner{By: a.by("org:acme"), UserID: UserID(a.next())})
	},
	"set-organization": func(r *script, a *arguments) {
		r.do(&SetOrganization{By: a.by("org:acme"), OrgID: OrgID(a.next()), Unknown: a.get("unknown", "") != ""})
	},
	"add-key": func(r *script, a *arguments) {
		r.do(&AddKey{By: a.by("org:acme"), CommandID: a.command(), Key: Key{UUID: a.next(), IndexNumber: a.number("index"), UserID: UserID(a.get("user", ""))}})
	},
	"remove-key": func(r *script, a *arguments) {
		r.do(&RemoveKey{By: a.by("org:acme"), CommandID: a.command(), KeyUUID: a.get("uuid", ""), IndexNumber: a.number("index")})
	},
	"write-key": func(r *script, a *arguments) {
		r.do(&WriteKey{By: a.by("org:acme"), CommandID: a.command(), KeyUUID: a.get("uuid", ""), IndexNumber: a.number("index")})
	},
	"answer-key": func(r *script, a *arguments) {
		c := &AnswerKey{CommandID: keyCommandNamed(r, a.next()), Session: a.session(), Message: a.get("message", "")}
		switch what := a.next(); what {
		case "done":
			c.Done = true
		case "refused":
			c.Executed, c.Code = NotExecuted, a.next()
		default:
			c.Code = what
		}
		r.do(c)
	},
	"bulk": func(r *script, a *arguments) {
		r.do(&BulkAddKeys{By: a.by("org:acme"), Job: JobID(a.next()), Keys: a.keys(a.get("keys", ""))})
	},
	"bulk-progress": func(r *script, a *arguments) { r.do(&GetBulkAddKeys{By: a.by("org:acme"), Job: JobID(a.next())}) },
	"change-uuid": func(r *script, a *arguments) {
		r.do(&ChangeLockUUID{By: a.by("super"), NewUUID: deviceUUID(a.next())})
	},
	"set-config": func(r *script, a *arguments) {
		c := &SetConfig{By: a.by("org:acme")}
		if n := a.number("relock"); n != nil {
			c.RelockMs = *n
		}
		r.do(c)
	},
	"answer-config": func(r *script, a *arguments) {
		c := &AnswerConfig{Session: a.session()}
		if n := a.number("config"); n != nil {
			c.Number = uint64(*n)
		}
		r.do(c)
	},
	"use-key": func(r *script, a *arguments) {
		r.do(&UseTempKey{By: a.by("org:acme"), TempKeyID: keyNamed(a.next()), UserID: UserID(a.get("user", ""))})
	},
	"add-resident": func(r *script, a *arguments) {
		r.do(&AddResident{By: a.by("org:acme"), Resident: Resident{UserID: UserID(a.next()), Name: a.get("name", ""), Email: a.get("email", ""), Phone: a.get("phone", "")}, ByPhone: a.get("by-phone", "") != ""})
	},
	"remove-resident": func(r *script, a *arguments) {
		r.do(&RemoveResident{By: a.by("org:acme"), UserID: UserID(a.get("user", "")), Email: a.get("email", ""), Phone: a.get("phone", "")})
	},
	"rotate-secret": func(r *script, a *arguments) {
		r.do(&RotateDeviceSecret{By: a.by("org:acme"), Hash: hash(a.next()), Grace: a.duration("grace", 0)})
	},
	"authenticate": func(r *script, a *arguments) {
		certified := a.get("certified", "") == "true"
		r.do(&AuthenticateDevice{UUID: deviceUUID(a.get("uuid", "u1")), Hash: hash(a.next()), Certified: certified})
	},
	"lock": func(r *script, a *arguments) { r.do(&GetLock{By: a.by("org:acme")}) },

	"create-key": func(r *script, a *arguments) {
		c := &CreateTempKey{
			By: a.by("org:acme"), UUID: keyNamed(a.next()), AccessMode: AccessMode(a.next()), AllowedUserIDs: a.users(),
			MaxUses: a.number("max"), Description: a.get("description", ""),
		}
		from, until, _ := strings.Cut(a.next(), "..")
		c.ValidFrom, c.ValidUntil = clock(r.t, from), clock(r.t, until)
		r.do(c)
	},
	"update-key": func(r *script, a *arguments) {
		c := &UpdateTempKey{By: a.by("org:acme"), TempKeyID: keyNamed(a.next())}
		for name, field := range map[string]**time.Time{"from": &c.Changes.ValidFrom, "until": &c.Changes.ValidUntil} {
			if a.has(name) {
				*field = ptr(clock(r.t, a.get(name, "")))
			}
		}
		if a.named["max"] == "none" {
			delete(a.named, "max")
			c.Changes.MaxUses = new(MaxUses)
		} else if n := a.number("max"); n != nil {
			c.Changes.MaxUses = &MaxUses{Limit: n}
		}
		if a.has("mode") {
			c.Changes.AccessMode = ptr(AccessMode(a.get("mode", "")))
		}
		if a.has("users") {
			c.Changes.AllowedUserIDs = ptr(a.users())
		}
		r.do(c)
	},
	"delete-key": func(r *script, a *arguments) {
		r.do(&DeleteTempKey{By: a.by("org:acme"), TempKeyID: keyNamed(a.next())})
	},
	// grant-door k9 2 k1 09:00..12:00 pin=a is the door 2 of the collective key k9, which the lock holds as k1.
	"grant-door": func(r *script, a *arguments) {
		c := &CreateTempKey{By: a.by("org:acme"), Door: &Door{Key: keyNamed(a.next()), Link: a.get("link", "true") == "true"}, AccessMode: Public}
		n, err := strconv.ParseInt(a.next(), 10, 64)
		require.NoError(r.t, err, "line %d", r.line)
		c.Door.Number, c.UUID = n, keyNamed(a.next())
		from, until, _ := strings.Cut(a.next(), "..")
		c.ValidFrom, c.ValidUntil, c.GrantBy = clock(r.t, from), clock(r.t, until), r.now.Add(a.duration("within", time.Minute))
		if a.has("pin") {
			c.Door.PIN = hash(a.get("pin", ""))
		}
		r.do(c)
	},
	"revoke-door": func(r *script, a *arguments) {
		r.do(&DeleteTempKey{By: a.by("super"), TempKeyID: keyNamed(a.next()), Door: true})
	},
	"open-with-pin": func(r *script, a *arguments) {
		pin, request := a.next(), a.next()
		r.do(&OpenWithPIN{
			Hash: hash(pin), RequestID: RequestID(request), CommandID: CommandID(strings.Replace(request, "r", "c", 1)),
			Lifetime: 5 * time.Second, Hold: a.duration("hold", 10*time.Second),
		})
	},
	"keys": func(r *script, a *arguments) { r.do(&ListTempKeys{By: a.by("org:acme")}) },
	"key": func(r *script, a *arguments) {
		r.do(&GetTempKey{TempKeyID: keyNamed(a.next()), RequestID: RequestID(a.get("request", ""))})
	},

	// The command of the request r1 is c1, unless it is named.
	"open": func(r *script, a *arguments) {
		key, request := keyNamed(a.next()), a.next()
		r.do(&OpenWithTempKey{
			By: a.by("guest"), TempKeyID: key, RequestID: RequestID(request),
			CommandID: CommandID(a.get("command", strings.Replace(request, "r", "c", 1))),
			Lifetime:  a.duration("lifetime", 5*time.Second), Hold: a.duration("hold", 10*time.Second),
		})
	},
	"open-lock": func(r *script, a *arguments) {
		request := a.next()
		r.do(&OpenLock{
			By: a.by("org:acme"), RequestID: RequestID(request), Reason: a.get("reason", ""),
			CommandID: CommandID(a.get("command", strings.Replace(request, "r", "c", 1))), Lifetime: a.duration("lifetime", 5*time.Second),
		})
	},

	"connect": func(r *script, a *arguments) {
		d := a.device()
		r.session = d.Session
		r.do(&ConnectDevice{Device: d})
	},
	"keep":       func(r *script, a *arguments) { r.do(&KeepDevice{Device: a.device()}) },
	"disconnect": func(r *script, a *arguments) { r.do(&DisconnectDevice{Session: sessionNamed(r, a.next())}) },
	"answer": func(r *script, a *arguments) {
		c := &AnswerOpen{CommandID: CommandID(a.next()), Session: a.session(), Message: a.get("message", ""), Bolt: a.get("bolt", "")}
		switch what := a.next(); what {
		case "opened":
			c.Opened = true
		case "refused":
			c.Executed, c.Code = NotExecuted, a.next()
		case "moved":
			c.Executed, c.Code = WasExecuted, a.next()
		default:
			c.Code = what
		}
		r.do(c)
	},
	"statuses": func(r *script, a *arguments) {
		c := &AnswerStatus{Session: a.session(), Statuses: map[CommandID]CommandStatus{}}
		for id, status := range a.named {
			c.Statuses[keyCommandNamed(r, id)] = CommandStatus(status)
			delete(a.named, id)
		}
		r.do(c)
	},
	"events": func(r *script, a *arguments) {
		after, err := strconv.ParseUint(a.get("after", "0"), 10, 64)
		require.NoError(r.t, err, "line %d", r.line)
		c := &ReportEvents{Session: a.session(), CallID: a.next(), After: after}
		for _, item := range a.plain {
			seq, what, _ := strings.Cut(item, ":")
			typ, value, _ := strings.Cut(what, ":")
			n, err := strconv.ParseUint(seq, 10, 64)
			require.NoError(r.t, err, "line %d", r.line)
			c.Items = append(c.Items, DeviceEvent{Seq: n, Type: typ, Value: value})
		}
		r.do(c)
	},
}

// clock reads a time of the day of the script, or an instant with its date.
func clock(t require.TestingT, s string) time.Time {
	if !strings.Contains(s, "T") {
		if strings.Count(s, ":") == 1 {
			s += ":00"
		}
		s = "2026-05-01T" + s + "Z"
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return at
}

func scriptDuration(r *script, s string) time.Duration {
	d, err := time.ParseDuration(s)
	require.NoError(r.t, err, "line %d", r.line)
	return d
}

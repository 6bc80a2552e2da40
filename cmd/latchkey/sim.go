package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/latchkey/latchkey/sim"
)

// defaultLocks is how many locks are made when nobody says how many.
const defaultLocks = 10

type simCommand struct {
	Servers []string `name:"server" env:"LATCHKEY_SERVER" default:"http://127.0.0.1:8080" placeholder:"URL" help:"The nodes' base URLs (${default}). The first one is also asked to make the locks."`
	TLSCA   string   `name:"tls-ca" placeholder:"FILE" help:"Certificates (PEM) to trust besides the system's."`

	SuperKeyFile     string `env:"LATCHKEY_SUPER_KEY_FILE" placeholder:"FILE" help:"File with the server's super key, with which the locks are made; or $$LATCHKEY_SUPER_KEY."`
	Locks            int    `placeholder:"N" help:"How many locks (10, or all of --credentials)."`
	FirstID          int64  `name:"first-id" default:"1" placeholder:"ID" help:"ID of the first lock; the others follow (${default})."`
	Org              string `placeholder:"ORG" help:"Organisation that the locks are given to."`
	Credentials      string `placeholder:"FILE" help:"Connect locks that exist, without a super key. The file has a JSON object a line, with lockId, lockUuid and the secret that RotateDeviceSecret gave."`
	WriteCredentials string `placeholder:"FILE" help:"Write the credentials of the locks to this file."`

	TempKeys       bool          `help:"Make a public temporary key for each lock, and print its link."`
	TempKeyMaxUses int64         `default:"0" placeholder:"N" help:"Uses of each temporary key; 0: as many as one likes."`
	TempKeyValid   time.Duration `default:"24h" placeholder:"DURATION" help:"How long the temporary keys are good (${default})."`

	ConnectRate float64       `default:"500" placeholder:"N" help:"Locks switched on a second (${default})."`
	DriftPPM    float64       `name:"drift-ppm" default:"0" placeholder:"PPM" help:"How wrong the clocks run at most, in millionths."`
	Record      string        `placeholder:"FILE" help:"Write a line for each movement of a motor to this file."`
	Flash       string        `placeholder:"FILE" help:"Keep the devices' memory in this file over a restart."`
	Progress    time.Duration `default:"5s" placeholder:"DURATION" help:"Time between two lines of progress; negative: none (${default})."`

	Firmware    string        `placeholder:"VERSION" help:"Version that the devices name."`
	MotorTravel time.Duration `placeholder:"DURATION" help:"How long a motor runs before it has opened."`
	DoorOpensIn time.Duration `placeholder:"DURATION" help:"How long after an open somebody opens the door; 0: nobody does."`
	DoorStays   time.Duration `placeholder:"DURATION" help:"How long the door then stays open."`

	LatencyMin    time.Duration `group:"bad networks and bad firmware" placeholder:"DURATION" help:"Least delay of each frame."`
	LatencyMax    time.Duration `group:"bad networks and bad firmware" placeholder:"DURATION" help:"Greatest delay of each frame."`
	DropEvery     time.Duration `group:"bad networks and bad firmware" placeholder:"DURATION" help:"Mean time between losses of the socket."`
	HalfOpenEvery time.Duration `group:"bad networks and bad firmware" placeholder:"DURATION" help:"Mean time between sockets that go silent without a word."`
	HalfOpenFor   time.Duration `group:"bad networks and bad firmware" default:"20s" placeholder:"DURATION" help:"How long they take to heal (${default})."`
	RebootEvery   time.Duration `group:"bad networks and bad firmware" placeholder:"DURATION" help:"Mean time between reboots."`
	GarbageEvery  time.Duration `group:"bad networks and bad firmware" placeholder:"DURATION" help:"Mean time between frames of garbage."`
	LoseJournal   bool          `group:"bad networks and bad firmware" help:"A reboot erases the device's memory."`
	FaultRate     float64       `group:"bad networks and bad firmware" default:"1" placeholder:"SHARE" help:"Share of opens that the faults below meet, over 0 and up to 1 (${default})."`
	Refuse        string        `group:"bad networks and bad firmware" placeholder:"CODE" help:"Refuse opens with this error, such as Jammed, LowBattery or Busy."`
	Executed      string        `group:"bad networks and bad firmware" enum:",true,false,unknown" default:"" placeholder:"WORD" help:"What a refusal says of the motor: true, false or unknown."`
	Reboot        string        `group:"bad networks and bad firmware" enum:",before-journal,before-motor,before-end,before-answer,after-answer" default:"" placeholder:"POINT" help:"Reboot in the middle of an open: before-journal, before-motor, before-end, before-answer or after-answer."`
	AnswerTwice   bool          `group:"bad networks and bad firmware" help:"Answer each open twice."`
	StrayAnswer   bool          `group:"bad networks and bad firmware" help:"Also answer calls that were never made."`
	NoDeadline    bool          `group:"bad networks and bad firmware" help:"Have no clock: open whatever the deadline says."`
	NoJournal     bool          `group:"bad networks and bad firmware" help:"Keep no command IDs."`
	NoKeys        bool          `group:"bad networks and bad firmware" help:"Keep no permanent keys."`
	RefuseKeys    string        `group:"bad networks and bad firmware" placeholder:"CODE" help:"Refuse changes of permanent keys with this error, such as NoSpace."`
	RebootKeys    string        `group:"bad networks and bad firmware" enum:",before-journal,before-motor,before-end,before-answer" default:"" placeholder:"POINT" help:"Reboot in the middle of a change of permanent keys, at the same points but the last."`
	SlowReader    bool          `group:"bad networks and bad firmware" help:"Never read what the server sends."`

	LogLevel  string `env:"LATCHKEY_LOG_LEVEL" enum:"debug,info,warn,error" default:"warn" placeholder:"LEVEL" help:"Least level that is logged: ${enum} (${default})."`
	LogFormat string `env:"LATCHKEY_LOG_FORMAT" enum:"text,json" default:"text" placeholder:"FORMAT" help:"Form of the log: ${enum} (${default})."`
}

// Validate is called by kong. What the fleet can judge for itself it does.
func (c *simCommand) Validate() error {
	if c.FaultRate <= 0 || c.FaultRate > 1 {
		return errors.New("--fault-rate must be over 0 and up to 1")
	}
	return nil
}

// Run simulates locks until a signal comes.
func (c *simCommand) Run(ctx context.Context, out terminal) error {
	o := sim.Options{
		Servers: c.Servers, CAFile: c.TLSCA, Locks: c.Locks, FirstID: c.FirstID, OrgID: c.Org,
		Credentials: c.Credentials, WriteCredentials: c.WriteCredentials,
		ConnectRate: c.ConnectRate, MaxDriftPPM: c.DriftPPM, Record: c.Record, Flash: c.Flash, Progress: c.Progress,
		Firmware: c.Firmware, Motor: sim.MotorOptions{Travel: c.MotorTravel, OpensIn: c.DoorOpensIn, Stays: c.DoorStays},
		Faults: sim.Faults{
			LatencyMin: c.LatencyMin, LatencyMax: max(c.LatencyMin, c.LatencyMax),
			DropEvery: c.DropEvery, HalfOpenEvery: c.HalfOpenEvery, HalfOpenFor: c.HalfOpenFor,
			RebootEvery: c.RebootEvery, GarbageEvery: c.GarbageEvery, LoseJournal: c.LoseJournal,
			OpenRate: c.FaultRate, Refuse: c.Refuse, Executed: c.Executed, Reboot: sim.RebootPoint(c.Reboot),
			AnswerTwice: c.AnswerTwice, StrayAnswer: c.StrayAnswer,
			NoDeadline: c.NoDeadline, NoJournal: c.NoJournal, SlowReader: c.SlowReader,
			NoKeys: c.NoKeys, RefuseKeys: c.RefuseKeys, RebootKeys: sim.RebootPoint(c.RebootKeys),
		},
		Output: out, Logger: newLogger(os.Stderr, c.LogLevel, c.LogFormat),
	}
	if c.TempKeys {
		o.TempKeys = &sim.TempKeyOptions{MaxUses: c.TempKeyMaxUses, Validity: c.TempKeyValid}
	}
	if c.Credentials == "" {
		key, err := readSuperKey(c.SuperKeyFile)
		if err != nil {
			return fmt.Errorf("--super-key-file: %w", err)
		}
		o.SuperKey = key
		if o.Locks == 0 {
			o.Locks = defaultLocks
		}
	}
	return sim.Run(ctx, o)
}

// readSuperKey reads the key from the file, else from the environment; it is empty when there is none.
func readSuperKey(file string) (string, error) {
	if file == "" {
		return os.Getenv(superKeyVariable), nil
	}
	content, err := os.ReadFile(file)
	return strings.TrimSpace(string(content)), err
}

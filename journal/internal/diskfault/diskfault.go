// Package diskfault puts a bad disk under SQLite, for tests and benchmarks: one whose fsync takes its time, or that fails
// when it is told to. It is a VFS that passes everything on to SQLite's own one and looks at the calls that reach the
// disk. It serves this whole process, so a test that makes the disk fail runs in a process of its own.
package diskfault

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/sqlite/lib"
)

// Fault is what the disk does instead of its work.
type Fault int32

const (
	// FailedSync lets writes through, and then says that it could not bring them to the disk.
	FailedSync Fault = iota + 1
	// FailedWrite is an I/O error of a write.
	FailedWrite
	// FullDisk refuses writes because there is no space.
	FullDisk
)

var disk struct {
	delay atomic.Int64 // nanoseconds that a sync takes longer
	fault atomic.Int32
	hits  atomic.Int64 // how often the fault showed
}

// Slow makes every sync of the disk take so much longer, from now on.
func Slow(d time.Duration) { disk.delay.Store(int64(d)) }

// Break makes the disk fail like this, from now on.
func Break(f Fault) { disk.fault.Store(int32(f)) }

// Hits returns how many calls have failed.
func Hits() int64 { return disk.hits.Load() }

// Sync is fdatasync, for those that write to the same disk without SQLite.
func Sync(file *os.File) error {
	if err := datasync(file); err != nil {
		return err
	}
	sleep(time.Duration(disk.delay.Load()))
	return nil
}

func broken(f Fault) bool {
	if Fault(disk.fault.Load()) != f {
		return false
	}
	disk.hits.Add(1)
	return true
}

// The VFS. The functions below are called by SQLite, hence their arguments; original is its own VFS, and methods has the
// table of file operations that takes the place of each of its tables.
var (
	install  sync.Once
	original uintptr
	mu       sync.Mutex
	methods  = map[uintptr]uintptr{}
)

// Install makes the disk the one that SQLite uses in this process, for the files that are opened from now on.
func Install() {
	install.Do(func() {
		tls := libc.NewTLS()
		defer tls.Close()
		original = sqlite3.Xsqlite3_vfs_find(tls, 0)
		vfs := clone[sqlite3.Tsqlite3_vfs](tls, original)
		name, err := libc.CString("diskfault")
		if err != nil {
			panic(err)
		}
		at[sqlite3.Tsqlite3_vfs](vfs).FzName = name
		at[sqlite3.Tsqlite3_vfs](vfs).FxOpen = pointer(openFile)
		if rc := sqlite3.Xsqlite3_vfs_register(tls, vfs, 1); rc != sqlite3.SQLITE_OK {
			panic(rc)
		}
	})
}

func openFile(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	open := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](at[sqlite3.Tsqlite3_vfs](original).FxOpen)
	rc := open(tls, original, name, file, flags, outFlags)
	if table := &at[sqlite3.Tsqlite3_file](file).FpMethods; *table != 0 {
		*table = replaced(tls, *table)
	}
	return rc
}

// replaced returns the table that is used instead of one of SQLite's own. Its own one lies right behind it.
func replaced(tls *libc.TLS, table uintptr) uintptr {
	mu.Lock()
	defer mu.Unlock()
	if methods[table] == 0 {
		pair := clone[both](tls, 0)
		at[both](pair).own = *at[sqlite3.Tsqlite3_io_methods](table)
		ours := at[both](pair).own
		ours.FxSync, ours.FxWrite = pointer(syncFile), pointer(writeFile)
		at[both](pair).ours = ours
		methods[table] = pair
	}
	return methods[table]
}

// both are our table, which SQLite sees, and the one that it had.
type both struct{ ours, own sqlite3.Tsqlite3_io_methods }

func own(file uintptr) *sqlite3.Tsqlite3_io_methods {
	return &at[both](at[sqlite3.Tsqlite3_file](file).FpMethods).own
}

func syncFile(tls *libc.TLS, file uintptr, flags int32) int32 {
	if broken(FailedSync) {
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	rc := function[func(*libc.TLS, uintptr, int32) int32](own(file).FxSync)(tls, file, flags)
	sleep(time.Duration(disk.delay.Load()))
	return rc
}

func writeFile(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	switch {
	case broken(FailedWrite):
		return sqlite3.SQLITE_IOERR_WRITE
	case broken(FullDisk):
		return sqlite3.SQLITE_FULL
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](own(file).FxWrite)(tls, file, data, size, offset)
}

// at sees memory of SQLite's as a T.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// clone returns memory of SQLite's with a copy of a T, or with zeros.
func clone[T any](tls *libc.TLS, from uintptr) uintptr {
	var zero T
	p := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(zero)))
	if p == 0 {
		panic("diskfault: no memory")
	}
	if from != 0 {
		*at[T](p) = *at[T](from)
	}
	return p
}

// pointer is what SQLite keeps of a function, and function is the way back.
func pointer[F any](f F) uintptr  { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ p uintptr }{p})) }

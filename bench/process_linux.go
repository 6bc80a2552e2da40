package bench

import "syscall"

// withParent ends a server with the benchmark, however that ends.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

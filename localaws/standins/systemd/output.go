package systemd

import (
	"bytes"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// output is what the processes of one Exec line write. A line belongs to the process that has written it, which may be a child of
// the started one: systemd.journal-fields(7), _PID=.
type output struct {
	conn  *net.UnixConn
	child *os.File // what the process writes to; a socket, as under systemd
	ended chan struct{}

	ending atomic.Bool // the started process has ended
}

func (o *output) setDeadline() { _ = o.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) }

// openOutput calls write for each line until close. A line without an end is written at the end.
func openOutput(write func(pid int, text string)) (*output, error) {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	o := &output{child: os.NewFile(uintptr(ends[1]), "output"), ended: make(chan struct{})}
	own := os.NewFile(uintptr(ends[0]), "journal")
	defer own.Close()
	if err := syscall.SetsockoptInt(ends[0], syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1); err != nil {
		return nil, err
	}
	conn, err := net.FileConn(own)
	if err != nil {
		return nil, err
	}
	o.conn = conn.(*net.UnixConn)
	go o.readLines(write)
	return o, nil
}

func (o *output) readLines(write func(pid int, text string)) {
	defer close(o.ended)
	buffer, control := make([]byte, 64<<10), make([]byte, syscall.CmsgSpace(syscall.SizeofUcred))
	partial := map[int][]byte{}
	for {
		if o.ending.Load() {
			o.setDeadline() // what is there is read, however long it takes to record a line
		}
		n, size, _, _, err := o.conn.ReadMsgUnix(buffer, control)
		if err != nil {
			break
		}
		pid := senderOf(control[:size])
		text := append(partial[pid], buffer[:n]...)
		for {
			line, rest, found := bytes.Cut(text, []byte("\n"))
			if !found {
				break
			}
			write(pid, string(line))
			text = rest
		}
		partial[pid] = text
	}
	for pid, text := range partial {
		if len(text) > 0 {
			write(pid, string(text))
		}
	}
}

// senderOf returns the process that has sent what came with the control messages; 0: not known.
func senderOf(control []byte) int {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return 0
	}
	sender, err := syscall.ParseUnixCredentials(&messages[0])
	if err != nil {
		return 0
	}
	return int(sender.Pid)
}

// close ends it when all is read; a child that keeps the output has a moment, so that it does not keep the unit.
func (o *output) close() {
	o.ending.Store(true)
	o.setDeadline()
	<-o.ended
	_ = o.conn.Close()
}

package localaws

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Error is an error response of AWS.
type Error struct {
	Status  int // HTTP status; default 400
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func (e Error) withStatus() *Error {
	if e.Status == 0 {
		e.Status = http.StatusBadRequest
	}
	return &e
}

// Fault is a fault to inject into matching calls.
//
//	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 2,
//		Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
//	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "/bundles/", Times: 1, DropReply: true})
type Fault struct {
	Operation string        // as in Call; empty matches every operation
	Resource  string        // part of the call's Resource; empty matches every resource
	Times     int           // how many calls it applies to; 0: all
	Delay     time.Duration // before anything else
	Reset     bool          // reset the connection without handling the call
	HangUp    bool          // close the connection without handling the call: the client reads EOF
	DropReply bool          // handle the call, then reset the connection
	Error     *Error        // return this error without handling the call
}

// AddFault adds a fault. If several match a call, the first one applies.
func (s *Server) AddFault(f Fault) {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.active = append(s.faults.active, &activeFault{Fault: f})
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.faults.Lock()
	defer s.faults.Unlock()
	s.faults.active = nil
}

func (f Fault) errorAnswer() error {
	if f.Error == nil {
		return nil
	}
	return f.Error
}

type activeFault struct {
	Fault
	hits int
}

type faults struct {
	sync.Mutex
	active []*activeFault
}

// nextFault returns the fault for one call and counts the hit; the zero Fault if none
// matches.
func (f *faults) nextFault(operation, resource string) Fault {
	f.Lock()
	defer f.Unlock()
	for _, a := range f.active {
		exhausted := a.Times > 0 && a.hits >= a.Times
		matches := (a.Operation == "" || a.Operation == operation) && strings.Contains(resource, a.Resource)
		if matches && !exhausted {
			a.hits++
			return a.Fault
		}
	}
	return Fault{}
}

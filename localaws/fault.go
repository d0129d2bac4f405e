package localaws

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// Error is an error as AWS answers it.
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

// Fault makes matching calls go wrong.
//
//	s.Fault(localaws.Fault{Operation: "ssm:SendCommand", Times: 2,
//		Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
//	s.Fault(localaws.Fault{Operation: "s3:PutObject", Resource: "/bundles/", Times: 1, DropReply: true})
type Fault struct {
	Operation string        // as in Call; empty matches every operation
	Resource  string        // part of the call's Resource; empty matches every one
	Times     int           // how many calls it hits; 0 hits every one
	Delay     time.Duration // waits before anything else
	Reset     bool          // cuts the connection, unhandled
	DropReply bool          // handles the call, then cuts the connection
	Error     *Error        // answers this, unhandled
}

// AddFault adds a fault to those in force. The first that matches a call applies.
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

// nextFault returns the fault for one call and counts the hit; the zero Fault when
// nothing is wrong with it.
func (f *faults) nextFault(operation, resource string) Fault {
	f.Lock()
	defer f.Unlock()
	for _, s := range f.active {
		spent := s.Times > 0 && s.hits >= s.Times
		matches := (s.Operation == "" || s.Operation == operation) && strings.Contains(resource, s.Resource)
		if matches && !spent {
			s.hits++
			return s.Fault
		}
	}
	return Fault{}
}

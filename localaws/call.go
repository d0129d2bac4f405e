package localaws

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Call is one request that reached the server.
type Call struct {
	Operation string    // "ssm:SendCommand", "s3:PutObject", "registry:PUT manifest", "oidc:GetToken"
	Resource  string    // what it concerns: "bucket/key", "repository:tag", instance ids, a command id, a document, a path of parameters
	Principal string    // ARN of the caller; empty until the signature is verified
	Role      string    // name of the caller's role; empty: it has none
	Status    int       // HTTP status; 0 while in progress or if no response reached the client
	Time      time.Time // of arrival

	Permissions []Permission // that it needed, as far as it got
}

// Calls returns every request so far in the order of arrival.
func (s *Server) Calls() []Call {
	s.journal.Lock()
	defer s.journal.Unlock()
	return slices.Clone(s.journal.calls)
}

type journal struct {
	sync.Mutex
	calls []Call
}

func (j *journal) begin(c Call) int {
	j.Lock()
	defer j.Unlock()
	j.calls = append(j.calls, c)
	return len(j.calls) - 1
}

func (j *journal) end(n int, r *request, status int) {
	j.Lock()
	defer j.Unlock()
	c := &j.calls[n]
	c.Principal, c.Role, c.Permissions, c.Status = r.principal.arn, r.principal.role, r.permissions, status
}

// reply records the status of the response.
type reply struct {
	http.ResponseWriter
	status int
}

func (r *reply) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *reply) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// discardedReply is a response that the client does not receive.
type discardedReply struct{ header http.Header }

func (u *discardedReply) Header() http.Header         { return u.header }
func (u *discardedReply) WriteHeader(int)             {}
func (u *discardedReply) Write(p []byte) (int, error) { return len(p), nil }

// closeConnection closes the connection: the client reads "EOF".
func closeConnection(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = connection.Close()
}

// resetConnection resets the connection: the client reads "connection reset by peer".
func resetConnection(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

package localaws

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// jsonService serves AWS JSON 1.1
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
type jsonService struct {
	id         string // as in "ssm:SendCommand" and in the signature's scope
	keys       *keyring
	operations map[string]operation
	permission func(*request) []permissionOf // that a request needs
}

type operation func(r *request) (any, error)

// decodeInput returns an operation that calls f with the decoded input.
func decodeInput[In any](f func(In) (any, error)) operation {
	return func(r *request) (any, error) {
		in, err := decodeJSON[In](r.body)
		if err != nil {
			return nil, err
		}
		return f(in)
	}
}

func decodeJSON[In any](body []byte) (in In, err error) {
	if err := json.Unmarshal(body, &in); err != nil {
		return in, &Error{Code: "SerializationException", Message: err.Error()}
	}
	return in, nil
}

func (s *jsonService) name(r *request) (string, string) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var about struct {
		RepositoryName, CommandID, InstanceID, Name, LogGroupName, Path string
		InstanceIDs                                                     []string
	}
	_ = json.Unmarshal(r.body, &about)
	return s.id + ":" + operation, cmp.Or(about.RepositoryName, about.CommandID, about.InstanceID, strings.Join(about.InstanceIDs, ","), about.Name, about.LogGroupName, about.Path)
}

func (s *jsonService) serve(w http.ResponseWriter, r *request) error {
	if err := s.keys.verifySignature(r, s.id, hexSHA256(r.body)); err != nil {
		return err
	}
	for _, needed := range s.permission(r) {
		if err := r.authorize(needed); err != nil {
			return err
		}
	}
	operation, ok := s.operations[r.operation]
	if !ok {
		return &Error{Code: "UnknownOperationException", Message: r.operation}
	}
	out, err := operation(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	return json.NewEncoder(w).Encode(out)
}

func (s *jsonService) refuse(w http.ResponseWriter, _ *request, err *Error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(err.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": err.Code, "message": err.Message})
}

// object is a JSON object in a response.
type object = map[string]any

// unixSeconds returns a timestamp in the format of JSON 1.1.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

package localaws

import (
	"cmp"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Parameter is a parameter of Parameter Store.
type Parameter struct {
	Name  string // with its path, as in /atta/dev/TOKEN
	Value string
	Type  string // String, StringList or SecureString; default String
	// KeyDenied refuses to decrypt a SecureString, as if the caller lacked kms:Decrypt on its key.
	KeyDenied bool

	version  int
	modified time.Time
}

// PutParameter stores a parameter, and replaces one with the same name.
func (s *Server) PutParameter(p Parameter) {
	store := &s.ssm.parameters
	store.mu.Lock()
	defer store.mu.Unlock()
	p.Type = cmp.Or(p.Type, "String")
	p.version, p.modified = store.list[p.Name].version+1, s.options.Now()
	store.list[p.Name] = p
}

// DeleteParameter removes a parameter.
func (s *Server) DeleteParameter(name string) {
	store := &s.ssm.parameters
	store.mu.Lock()
	defer store.mu.Unlock()
	delete(store.list, name)
}

// parameterStore is what GetParametersByPath reads.
type parameterStore struct {
	arn string // of the parameters, without their names

	mu   sync.Mutex
	list map[string]Parameter
}

func newParameterStore(o Options) parameterStore {
	return parameterStore{arn: "arn:" + o.Partition + ":ssm:" + o.Region + ":" + o.Account + ":parameter", list: map[string]Parameter{}}
}

// getParametersByPath serves
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html.
func (store *parameterStore) getParametersByPath(in struct {
	Path                      string
	Recursive, WithDecryption bool
	MaxResults                *int
	NextToken                 string
}) (any, error) {
	size := 10
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	switch {
	case size < 1 || size > 10:
		return nil, invalidMember("maxResults", "Member must have value between 1 and 10")
	case !strings.HasPrefix(in.Path, "/"):
		return nil, &Error{Code: "ValidationException", Message: `The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/".`}
	}
	page, next, err := cutPage(store.below(strings.TrimSuffix(in.Path, "/")+"/", in.Recursive), in.NextToken, size)
	if err != nil {
		return nil, err
	}
	list := []object{}
	for _, p := range page {
		value := p.Value
		if p.Type == "SecureString" && !in.WithDecryption {
			value = base64.StdEncoding.EncodeToString([]byte("encrypted by " + p.Name))
		}
		if p.KeyDenied && in.WithDecryption {
			return nil, &Error{Code: "AccessDeniedException", Message: "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."}
		}
		list = append(list, object{
			"Name": p.Name, "Type": p.Type, "Value": value, "Version": p.version,
			"LastModifiedDate": unixSeconds(p.modified), "ARN": store.arn + p.Name, "DataType": "text",
		})
	}
	return object{"Parameters": list, "NextToken": next}, nil
}

// below returns the parameters directly below a folder, or with recursive all of them, sorted by name.
func (store *parameterStore) below(folder string, recursive bool) (found []Parameter) {
	store.mu.Lock()
	defer store.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(store.list)) {
		rest, ok := strings.CutPrefix(name, folder)
		if ok && rest != "" && (recursive || !strings.Contains(rest, "/")) {
			found = append(found, store.list[name])
		}
	}
	return found
}

package localaws

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Instance is an EC2 instance, or with an ID that starts with mi- a hybrid-activated machine.
type Instance struct {
	ID           string
	Stopped      bool   // then SSM does not list it: https://github.com/aws/amazon-ssm-agent/issues/407
	Name         string // computer name
	PlatformType string // default Linux
	PingStatus   string // default Online
	AgentVersion string // default 3.3.0.0
	Tags         map[string]string
	Address      string                          // private IP address
	Role         string                          // of its agent, which needs permissions to write a log; empty: it may
	Machine      Machine                         // nil: every command succeeds with empty output
	InjectFault  func(Invocation) *DeliveryFault // called before each delivery; may return nil
}

// AddInstance registers a managed instance, and replaces one with the same ID.
func (s *Server) AddInstance(i Instance) {
	i.PlatformType = cmp.Or(i.PlatformType, "Linux")
	i.PingStatus = cmp.Or(i.PingStatus, "Online")
	i.AgentVersion = cmp.Or(i.AgentVersion, "3.3.0.0")
	s.ssm.fleet.mu.Lock()
	defer s.ssm.fleet.mu.Unlock()
	s.ssm.fleet.instances[i.ID] = i
}

// Reboots returns how often scripts on the instance requested a reboot with exit status 194.
func (s *Server) Reboots(instanceID string) int {
	s.ssm.fleet.mu.Lock()
	defer s.ssm.fleet.mu.Unlock()
	return s.ssm.fleet.reboots[instanceID]
}

// fleet contains the managed instances and counts their deliveries and reboots.
type fleet struct {
	mu         sync.Mutex
	instances  map[string]Instance
	deliveries map[string]int
	reboots    map[string]int
}

func newFleet() *fleet {
	return &fleet{instances: map[string]Instance{}, deliveries: map[string]int{}, reboots: map[string]int{}}
}

func (f *fleet) countReboot(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reboots[id]++
}

func (f *fleet) countDelivery(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliveries[id]++
	return f.deliveries[id]
}

// selectInstances returns the instances that are listed and for which pass is true, sorted by ID.
func (f *fleet) selectInstances(pass func(Instance) bool) []Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []Instance
	for _, id := range slices.Sorted(maps.Keys(f.instances)) {
		if !f.instances[id].Stopped && pass(f.instances[id]) {
			found = append(found, f.instances[id])
		}
	}
	return found
}

// tagsOf returns the tags of an instance, listed or not.
func (f *fleet) tagsOf(id string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.instances[id].Tags
}

// criterion selects instances. Targets and filters have this form.
type criterion struct {
	Key    string
	Values []string
}

// matches reports whether i matches and whether the key is one of
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_InstanceInformationStringFilter.html.
func (c criterion) matches(i Instance) (ok, known bool) {
	if tag, isTag := strings.CutPrefix(c.Key, "tag:"); isTag {
		value, tagged := i.Tags[tag]
		return tagged && slices.Contains(c.Values, value), true
	}
	switch c.Key {
	case "InstanceIds":
		return slices.Contains(c.Values, i.ID), true
	case "PingStatus":
		return slices.Contains(c.Values, i.PingStatus), true
	case "PlatformTypes":
		return slices.Contains(c.Values, i.PlatformType), true
	case "ResourceType":
		return slices.Contains(c.Values, i.resourceType()), true
	case "tag-key":
		return slices.ContainsFunc(c.Values, func(key string) bool { _, ok := i.Tags[key]; return ok }), true
	}
	return false, false
}

func (i Instance) resourceType() string {
	if strings.HasPrefix(i.ID, "mi-") {
		return "ManagedInstance"
	}
	return "EC2Instance"
}

// describeInstanceInformation serves
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html.
func (a *ssm) describeInstanceInformation(in struct {
	Filters    []criterion
	MaxResults *int
	NextToken  string
}) (any, error) {
	size, err := pageSize(in.MaxResults, 5)
	if err != nil {
		return nil, err
	}
	tags := 0
	for _, filter := range in.Filters {
		if strings.HasPrefix(filter.Key, "tag:") {
			tags++
		}
		if _, known := filter.matches(Instance{}); !known {
			return nil, &Error{Code: "InvalidFilterKey", Message: "The specified key isn't valid: " + filter.Key}
		}
	}
	if tags > 0 && tags < len(in.Filters) {
		return nil, &Error{Code: "ValidationException", Message: "Tag filters can't be combined with other filter types"}
	}
	found := a.fleet.selectInstances(func(i Instance) bool {
		return !slices.ContainsFunc(in.Filters, func(f criterion) bool { ok, _ := f.matches(i); return !ok })
	})
	items, next, err := cutPage(found, in.NextToken, size)
	list := []object{}
	for _, i := range items {
		list = append(list, object{
			"InstanceId": i.ID, "ComputerName": i.Name, "IPAddress": i.Address,
			"PingStatus": i.PingStatus, "LastPingDateTime": unixSeconds(a.options.Now()),
			"PlatformType": i.PlatformType, "AgentVersion": i.AgentVersion, "IsLatestVersion": true, "ResourceType": i.resourceType(),
		})
	}
	return object{"InstanceInformationList": list, "NextToken": next}, err
}

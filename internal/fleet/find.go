package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// NotReadyError describes why an instance cannot be deployed to.
type NotReadyError struct {
	Instance Instance
	Problem  Problem
	Reason   string // in words
}

// Problem is why an instance is not ready.
type Problem int

// The problems of an instance.
const (
	NotListed Problem = iota + 1 // SSM does not list it
	NotOnline                    // its agent is not connected
	NotLinux
	OldAgent
)

func (e *NotReadyError) Error() string { return fmt.Sprintf("instance %s %s", e.Instance, e.Reason) }

// ErrNoInstance is returned if no instance matches the targets.
var ErrNoInstance = errors.New("no running instance that SSM manages in this account and region has the tags")

// Find returns the instances that are ready, and an error for each that is not: one that is not managed by SSM, offline, or
// not Linux. Instances found by id keep the order of the ids, others are sorted. SSM does not list an instance that is stopped
// or has never registered, whatever its tags, which a minimum number of instances detects.
func (f *Fleet) Find(ctx context.Context, targets inputs.Targets) (ready []Instance, unready []*NotReadyError, err error) {
	var known []types.InstanceInformation
	if len(targets.Tags) > 0 {
		known, err = f.findByTags(ctx, targets.Tags)
	} else {
		known, err = f.findByIDs(ctx, targets.InstanceIDs)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up instances: %w", err)
	}
	if len(known) == 0 {
		return nil, nil, ErrNoInstance
	}
	for _, info := range known {
		instance := Instance{ID: aws.ToString(info.InstanceId), Name: aws.ToString(info.ComputerName)}
		if problem, reason := findProblem(info); problem != 0 {
			unready = append(unready, &NotReadyError{instance, problem, reason})
			continue
		}
		ready = append(ready, instance)
	}
	return ready, unready, nil
}

func findProblem(info types.InstanceInformation) (Problem, string) {
	switch {
	case info.PingStatus == "":
		return NotListed, "is stopped, or not managed by SSM in this account and region: SSM does not list it"
	case info.PingStatus != types.PingStatusOnline:
		reason := fmt.Sprintf("is not online: the SSM agent's status is %s", info.PingStatus)
		if info.LastPingDateTime != nil {
			reason += ", last heartbeat at " + info.LastPingDateTime.UTC().Format(time.RFC3339)
		}
		return NotOnline, reason
	case info.PlatformType != types.PlatformTypeLinux:
		return NotLinux, fmt.Sprintf("runs %s; only Linux instances can be deployed to", info.PlatformType)
	case isOlder(aws.ToString(info.AgentVersion), minAgent):
		return OldAgent, fmt.Sprintf("has SSM agent %s, which gives up when it cannot send a result at once; update it to %s or later", *info.AgentVersion, minAgent)
	}
	return 0, ""
}

// minAgent is the first agent that sends results again: https://github.com/aws/amazon-ssm-agent/releases/tag/2.2.902.0
const minAgent = "2.2.902.0"

// isOlder compares versions number by number. A version that is not made of numbers is not older.
func isOlder(version, than string) bool {
	numbers := func(text string) (list []int) {
		for part := range strings.SplitSeq(text, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				return []int{math.MaxInt}
			}
			list = append(list, n)
		}
		return list
	}
	return slices.Compare(numbers(version), numbers(than)) < 0
}

// findByIDs describes the instances with these ids, in their order. For an instance that is
// not managed by SSM, only the id is set.
func (f *Fleet) findByIDs(ctx context.Context, ids []string) ([]types.InstanceInformation, error) {
	found := map[string]types.InstanceInformation{}
	for chunk := range slices.Chunk(ids, MaxInstanceIDs) {
		list, err := f.describeInstances(ctx, types.InstanceInformationStringFilter{Key: aws.String("InstanceIds"), Values: chunk})
		if err != nil {
			return nil, err
		}
		for _, info := range list {
			found[aws.ToString(info.InstanceId)] = info
		}
	}
	known := make([]types.InstanceInformation, len(ids))
	for i, id := range ids {
		known[i] = found[id]
		known[i].InstanceId = &id
	}
	return known, nil
}

// findByTags describes the instances that have all the tags.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_InstanceInformationStringFilter.html
func (f *Fleet) findByTags(ctx context.Context, tags []inputs.Tag) ([]types.InstanceInformation, error) {
	filters := make([]types.InstanceInformationStringFilter, len(tags))
	for i, tag := range tags {
		filters[i] = types.InstanceInformationStringFilter{Key: aws.String("tag:" + tag.Key), Values: []string{tag.Value}}
	}
	known, err := f.describeInstances(ctx, filters...)
	slices.SortFunc(known, func(a, b types.InstanceInformation) int {
		return cmp.Compare(aws.ToString(a.InstanceId), aws.ToString(b.InstanceId))
	})
	return known, err
}

func (f *Fleet) describeInstances(ctx context.Context, filters ...types.InstanceInformationStringFilter) (list []types.InstanceInformation, err error) {
	pages := ssm.NewDescribeInstanceInformationPaginator(f.ssm, &ssm.DescribeInstanceInformationInput{Filters: filters, MaxResults: aws.Int32(50)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, page.InstanceInformationList...)
	}
	return list, nil
}

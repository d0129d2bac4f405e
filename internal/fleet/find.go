package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// NotReadyError says why an instance cannot be deployed to.
type NotReadyError struct{ Instance, Reason string }

func (e *NotReadyError) Error() string { return fmt.Sprintf("instance %s %s", e.Instance, e.Reason) }

// Find returns the instances in the order of their ids. Each must be managed by
// SSM, online and Linux: those that are not are reported all at once, a
// *NotReadyError each.
func (f *Fleet) Find(ctx context.Context, ids []string) ([]Instance, error) {
	if len(ids) == 0 {
		return nil, errors.New("no instance was named")
	}
	known, err := f.describe(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up instances: %w", err)
	}
	found := make([]Instance, 0, len(ids))
	var problems []error
	for _, id := range ids {
		info, ok := known[id]
		if reason := unready(info, ok); reason != "" {
			problems = append(problems, &NotReadyError{Instance: id, Reason: reason})
			continue
		}
		found = append(found, Instance{ID: id, Name: aws.ToString(info.ComputerName)})
	}
	return found, errors.Join(problems...)
}

func unready(info types.InstanceInformation, known bool) string {
	switch {
	case !known:
		return "is not managed by SSM in this account and region"
	case info.PingStatus != types.PingStatusOnline:
		reason := fmt.Sprintf("is not online: the SSM agent's status is %s", info.PingStatus)
		if info.LastPingDateTime != nil {
			reason += ", last heard of " + info.LastPingDateTime.UTC().Format(time.RFC3339)
		}
		return reason
	case info.PlatformType != types.PlatformTypeLinux:
		return fmt.Sprintf("runs %s; only Linux instances can be deployed to", info.PlatformType)
	}
	return ""
}

func (f *Fleet) describe(ctx context.Context, ids []string) (map[string]types.InstanceInformation, error) {
	known := map[string]types.InstanceInformation{}
	for chunk := range slices.Chunk(ids, MaxTargets) {
		pages := ssm.NewDescribeInstanceInformationPaginator(f.ssm, &ssm.DescribeInstanceInformationInput{
			Filters: []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: chunk}},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, info := range page.InstanceInformationList {
				known[aws.ToString(info.InstanceId)] = info
			}
		}
	}
	return known, nil
}

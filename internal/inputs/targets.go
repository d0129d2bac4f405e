package inputs

import (
	"fmt"
	"strings"
)

// maxTargetTags keeps the filters of one request well under the limit:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
const maxTargetTags = 10

func (p *parser) parseTargets(task Task) Targets {
	if p.rawValue("target-tags") != "" {
		p.forbidInput("instance-ids", "target-tags already selects the instances")
	} else if task.Phases.Rollout {
		p.requireInput("instance-ids", instanceID.description+"; or set target-tags")
	}
	targets := Targets{InstanceIDs: p.parseList("instance-ids", instanceID), MinInstances: p.parseInt("min-instances", 1, 100000)}
	tags := p.parseList("target-tags", targetTag)
	if len(tags) > maxTargetTags {
		p.problems = append(p.problems, fmt.Errorf("target-tags has %d tags: want at most %d", len(tags), maxTargetTags))
	}
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		targets.Tags = append(targets.Tags, Tag{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	return targets
}

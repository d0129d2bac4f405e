package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
)

func TestFindKeepsTheOrderOfTheIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		addInstances(s, localaws.Instance{ID: "i-1", Name: "ip-10-0-0-1", Address: "10.0.0.1"}, localaws.Instance{ID: "i-2"}, localaws.Instance{ID: "i-3"})
		got, _, err := newFleet(s).Find(t.Context(), inputs.Targets{InstanceIDs: []string{"i-3", "i-1"}})
		want := []fleet.Instance{{ID: "i-3"}, {ID: "i-1", Name: "ip-10-0-0-1"}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if got[0].String() != "i-3" || got[1].String() != "i-1 (ip-10-0-0-1)" {
			t.Errorf("the names are %s and %s", got[0], got[1])
		}
	})
}

// idLimitClient fails the test if too many instances are described at once.
type idLimitClient struct {
	*ssm.Client
	t *testing.T
}

func (f idLimitClient) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, options ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	if n := len(in.Filters[0].Values); n > fleet.MaxInstanceIDs {
		f.t.Errorf("described %d instances at once", n)
	}
	return f.Client.DescribeInstanceInformation(ctx, in, options...)
}

func TestFindReadsMoreInstancesThanOneCallDescribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		f := fleet.New(idLimitClient{ssm.NewFromConfig(s.Config()), t}, delivery)
		var ids []string
		for n := range 120 {
			ids = append(ids, fmt.Sprintf("i-%03d", n))
			s.AddInstance(localaws.Instance{ID: ids[n]})
		}
		if got, _, err := f.Find(t.Context(), inputs.Targets{InstanceIDs: ids}); len(got) != 120 || got[119].ID != "i-119" || err != nil {
			t.Errorf("%d found, %v", len(got), err)
		}
	})
}

func TestFindReportsEveryInstanceThatIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		addInstances(s,
			localaws.Instance{ID: "i-1"},
			localaws.Instance{ID: "i-3", PingStatus: "ConnectionLost"},
			localaws.Instance{ID: "i-4", PlatformType: "Windows"},
			localaws.Instance{ID: "i-5", Stopped: true},
			localaws.Instance{ID: "i-6", AgentVersion: "2.2.800.0"},
			localaws.Instance{ID: "mi-7", AgentVersion: "2.2.902.0"},
			localaws.Instance{ID: "i-8", AgentVersion: "unknown"},
		)
		before := time.Now()
		ready, unready, err := newFleet(s).Find(t.Context(), inputs.Targets{InstanceIDs: []string{"i-1", "i-2", "i-3", "i-4", "i-5", "i-6", "mi-7", "i-8"}})
		if diff := cmp.Diff([]fleet.Instance{{ID: "i-1"}, {ID: "mi-7"}, {ID: "i-8"}}, ready); diff != "" || err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
		var lines []string
		for _, problem := range unready {
			lines = append(lines, problem.Error())
		}
		want := []string{
			"instance i-2 is stopped, or not managed by SSM in this account and region: SSM does not list it",
			"instance i-3 is not online: the SSM agent's status is ConnectionLost, last heartbeat at ",
			"instance i-4 runs Windows; only Linux instances can be deployed to",
			"instance i-5 is stopped, or not managed by SSM in this account and region: SSM does not list it",
			"instance i-6 has SSM agent 2.2.800.0, which gives up when it cannot send a result at once; update it to 2.2.902.0 or later",
		}
		if len(lines) != len(want) {
			t.Fatalf("problems are %q", lines)
		}
		heard, parseErr := time.Parse(time.RFC3339, strings.TrimPrefix(lines[1], want[1]))
		if parseErr != nil || heard.Sub(before).Abs() > time.Minute {
			t.Errorf("last heartbeat at %s, %v", heard, parseErr)
		}
		lines[1] = want[1]
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Error(diff)
		}
		if sent := callsOf(s, "ssm:SendCommand"); len(sent) != 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

func TestFindWithoutTargetsIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		if _, _, err := newFleet(s).Find(t.Context(), inputs.Targets{}); err == nil || len(s.Calls()) != 0 {
			t.Errorf("error is %v after %d calls", err, len(s.Calls()))
		}
	})
}

func TestFindReturnsTheInstancesThatHaveEveryTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		tags := func(environment, role string) map[string]string {
			return map[string]string{"Environment": environment, "Role": role}
		}
		addInstances(s,
			localaws.Instance{ID: "i-9", Tags: tags("dev", "web")},
			localaws.Instance{ID: "i-1", Tags: tags("dev", "web")},
			localaws.Instance{ID: "i-2", Tags: tags("dev", "db")},
			localaws.Instance{ID: "i-3", Tags: tags("prod", "web")},
			localaws.Instance{ID: "i-4", Tags: tags("dev", "web"), PingStatus: "ConnectionLost"},
		)
		ready, unready, err := newFleet(s).Find(t.Context(), inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}, {Key: "Role", Value: "web"}}})
		if diff := cmp.Diff([]fleet.Instance{{ID: "i-1"}, {ID: "i-9"}}, ready); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if len(unready) != 1 || unready[0].Instance.ID != "i-4" {
			t.Errorf("the instances that are not ready are %v", unready)
		}
		_, _, err = newFleet(s).Find(t.Context(), inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "none"}}})
		if !errors.Is(err, fleet.ErrNoInstance) {
			t.Errorf("no instance has the tag, and the error is %v", err)
		}
	})
}

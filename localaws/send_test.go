package localaws_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/org/atta-deploy-action/localaws"
)

func TestConcurrencyIsRespectedAndErrorsStopTheRest(t *testing.T) {
	s := start(t, localaws.Options{})
	var now, most, runs atomic.Int32
	var ids []string
	for n := range 8 {
		ids = append(ids, fmt.Sprintf("i-%d", n))
		s.AddInstance(localaws.Instance{ID: ids[n], Machine: machine(func(context.Context, string, []string) localaws.Exit {
			runs.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(20 * time.Millisecond)
			now.Add(-1)
			return localaws.Exit{Code: 1}
		})})
	}
	in := shell("false", ids...)
	in.MaxConcurrency, in.MaxErrors = aws.String("25%"), aws.String("100%")
	waitForDetails(t, s, send(t, s, in), "Failed")
	if most.Load() != 2 || runs.Load() != 8 {
		t.Errorf("%d at once, %d in all", most.Load(), runs.Load())
	}
	in.MaxConcurrency, in.MaxErrors = aws.String("1"), aws.String("1")
	id := send(t, s, in)
	got := waitForDetails(t, s, id, "Failed", "Terminated")
	if runs.Load() != 8+2 || *got[2].StatusDetails != "Terminated" {
		t.Errorf("%d ran, third is %s", runs.Load()-8, *got[2].StatusDetails)
	}
	if p := describeCommand(t, s, id); p.Status != "Failed" || p.ErrorCount != 2 || p.CompletedCount != 8 {
		t.Errorf("parent is %s, %d errors, %d completed", p.Status, p.ErrorCount, p.CompletedCount)
	}
}

func TestSendCommandRefusesInvalidInput(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1"})
	s.AddInstance(localaws.Instance{ID: "i-2", PingStatus: "ConnectionLost"})
	s.AddInstance(localaws.Instance{ID: "i-3", PlatformType: "Windows"})
	many := make([]string, 51)
	for n := range many {
		many[n] = fmt.Sprintf("i-%d", n)
	}
	tests := map[string]struct {
		code   string
		change func(*ssm.SendCommandInput)
	}{
		"unknown instance":     {"InvalidInstanceId", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1", "i-9"} }},
		"offline instance":     {"InvalidInstanceId", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1", "i-2"} }},
		"windows":              {"UnsupportedPlatformType", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-3"} }},
		"an instance twice":    {"DuplicateInstanceId", func(in *ssm.SendCommandInput) { in.InstanceIds = []string{"i-1", "i-1"} }},
		"51 instances":         {"ValidationException", func(in *ssm.SendCommandInput) { in.InstanceIds = many }},
		"no instance":          {"ValidationException", func(in *ssm.SendCommandInput) { in.InstanceIds = nil }},
		"timeout of 29":        {"ValidationException", func(in *ssm.SendCommandInput) { in.TimeoutSeconds = aws.Int32(29) }},
		"timeout of 2592001":   {"ValidationException", func(in *ssm.SendCommandInput) { in.TimeoutSeconds = aws.Int32(2592001) }},
		"comment of 101":       {"ValidationException", func(in *ssm.SendCommandInput) { in.Comment = aws.String(strings.Repeat("c", 101)) }},
		"no concurrency":       {"ValidationException", func(in *ssm.SendCommandInput) { in.MaxConcurrency = aws.String("0") }},
		"101% errors":          {"ValidationException", func(in *ssm.SendCommandInput) { in.MaxErrors = aws.String("101%") }},
		"another document":     {"InvalidDocument", func(in *ssm.SendCommandInput) { in.DocumentName = aws.String("AWS-Other") }},
		"another parameter":    {"InvalidParameters", func(in *ssm.SendCommandInput) { in.Parameters["command"] = []string{"x"} }},
		"no commands":          {"InvalidParameters", func(in *ssm.SendCommandInput) { delete(in.Parameters, "commands") }},
		"unknown kind of goal": {"InvalidTarget", func(in *ssm.SendCommandInput) { in.InstanceIds, in.Targets = nil, target("resource-groups:Name", "x") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := shell("true", "i-1")
			test.change(in)
			_, err := ssm.NewFromConfig(once(s)).SendCommand(t.Context(), in)
			wantCode(t, err, test.code)
		})
	}
	if out, err := ssm.NewFromConfig(once(s)).ListCommands(t.Context(), nil); err != nil || len(out.Commands) != 0 {
		t.Errorf("commands are %+v, %v", out, err)
	}
}

func target(key string, values ...string) []types.Target {
	return []types.Target{{Key: aws.String(key), Values: values}}
}

func TestTagTargetsSkipOfflineInstances(t *testing.T) {
	s := start(t, localaws.Options{})
	tags := map[string]string{"Environment": "dev"}
	s.AddInstance(localaws.Instance{ID: "i-1", Tags: tags})
	s.AddInstance(localaws.Instance{ID: "i-2", Tags: tags, PingStatus: "ConnectionLost"})
	s.AddInstance(localaws.Instance{ID: "i-3"})
	in := shell("true")
	in.Targets = target("tag:Environment", "dev")
	id := send(t, s, in)
	if got := waitForDetails(t, s, id, "Success"); len(got) != 1 || *got[0].InstanceId != "i-1" {
		t.Errorf("invocations are %+v", got)
	}
	in.Targets = target("tag:Environment", "prod")
	id = send(t, s, in)
	for deadline := time.Now().Add(5 * time.Minute); *describeCommand(t, s, id).StatusDetails != "NoInstancesInTag"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("parent is %+v", describeCommand(t, s, id))
		}
	}
}

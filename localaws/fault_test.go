package localaws_test

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/org/atta-deploy-action/localaws"
)

func TestFaultAppliesToTheGivenNumberOfCallsAndIsRecorded(t *testing.T) {
	s := start(t, localaws.Options{})
	s.AddInstance(localaws.Instance{ID: "i-1"})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Resource: "i-1", Times: 1, Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
	s.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Resource: "i-2", Error: &localaws.Error{Code: "InternalServerError"}})
	client := ssm.NewFromConfig(once(s))
	_, err := client.SendCommand(t.Context(), shell("true", "i-1"))
	wantCode(t, err, "ThrottlingException")
	if _, err := client.SendCommand(t.Context(), shell("true", "i-1")); err != nil {
		t.Fatal(err)
	}
	var statuses []int
	for _, c := range s.Calls() {
		if c.Operation != "ssm:SendCommand" || c.Resource != "i-1" || c.Time.IsZero() {
			t.Errorf("call is %+v", c)
		}
		statuses = append(statuses, c.Status)
	}
	if diff := cmp.Diff([]int{400, 200}, statuses); diff != "" {
		t.Error(diff)
	}
}

func TestResetFaultSkipsTheCall(t *testing.T) {
	s, client := storage(t)
	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Times: 1, Reset: true})
	if _, err := client.PutObject(t.Context(), putInput("k", "v")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error is %v", err)
	}
	if _, ok := s.Object("artifacts", "k"); ok {
		t.Error("object was stored")
	}
	// The SDK takes it for what it is and tries again.
	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Times: 1, Reset: true})
	if _, err := s3.NewFromConfig(s.Config()).PutObject(t.Context(), putInput("k", "v")); err != nil {
		t.Error(err)
	}
}

func TestHangUpFaultClosesTheConnection(t *testing.T) {
	s, client := storage(t)
	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Times: 1, HangUp: true})
	if _, err := client.PutObject(t.Context(), putInput("k", "v")); !errors.Is(err, io.EOF) {
		t.Errorf("error is %v", err)
	}
	if _, ok := s.Object("artifacts", "k"); ok {
		t.Error("object was stored")
	}
}

func TestDropReplyFaultHandlesTheCallFirst(t *testing.T) {
	s, client := storage(t)
	s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: "artifacts/k", DropReply: true})
	if _, err := client.PutObject(t.Context(), putInput("k", "v")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error is %v", err)
	}
	if content, _ := s.Object("artifacts", "k"); string(content) != "v" {
		t.Errorf("stored %q", content)
	}
	if got := s.Calls()[0].Status; got != 0 {
		t.Errorf("status is %d", got)
	}
}

func TestDelayFaultPostponesTheCall(t *testing.T) {
	s, client := storage(t)
	s.AddFault(localaws.Fault{Delay: time.Hour})
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := client.PutObject(ctx, putInput("k", "v")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	if _, ok := s.Object("artifacts", "k"); ok {
		t.Error("object was stored")
	}
}

func TestFaultsApplyToTheRegistry(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "MUTABLE")
	s.AddFault(localaws.Fault{Operation: "registry:PUT manifest", Resource: "atta:1", Times: 1,
		Error: &localaws.Error{Status: 405, Code: "UNSUPPORTED", Message: "not today"}})
	s.AddFault(localaws.Fault{Operation: "registry:PUT blob", Times: 1, Reset: true})
	auth := login(t, s)
	err := remote.Write(tag(t, s, "atta:1"), randomImage(t), auth)
	wantRegistry(t, err, 405, "UNSUPPORTED", "not today")
	if err := remote.Write(tag(t, s, "atta:1"), randomImage(t), auth); err != nil {
		t.Fatal(err)
	}
}

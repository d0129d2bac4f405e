package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/iam"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// wantChanges checks what has changed in the account since the nth request, and how
// many deploys the instance was asked for in all.
func (s *stage) wantChanges(from, deploys int, want ...string) {
	s.t.Helper()
	var changed []string
	for _, call := range s.calls(from, changing...) {
		if call.Status < 300 {
			changed = append(changed, call.Resource)
		}
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		s.t.Errorf("the changes differ:\n%s", diff)
	}
	if n := len(s.deploys()); n != deploys {
		s.t.Errorf("%d deploys were sent, want %d", n, deploys)
	}
}

func TestUnreachableInstancesAreNamedBeforeAnyChange(t *testing.T) {
	s := play(t)
	const unknown, offline, windows = "i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c"
	s.aws.AddInstance(localaws.Instance{ID: offline, PingStatus: "ConnectionLost"})
	s.aws.AddInstance(localaws.Instance{ID: unknown, Stopped: true})
	s.aws.AddInstance(localaws.Instance{ID: windows, PlatformType: "Windows"})
	s.build("0.1.0-dev")
	out := s.run("instance-ids=" + strings.Join([]string{instanceID, unknown, offline, windows}, "\n"))
	out.wants("failed")
	out.says("instance "+unknown+" is stopped, or not managed by SSM", "instance "+offline+" is not online", "instance "+windows+" runs Windows")
	if got := errorsIn(out.log); len(got) != 1 {
		t.Errorf("want one error: %q", got)
	}
	s.wantChanges(0, 0)
	if sent := s.calls(0, "ssm:SendCommand"); sent != nil {
		t.Errorf("a command was sent: %v", sent)
	}
}

func TestInstanceWithoutAStatusStopsTheDeploy(t *testing.T) {
	s := play(t)
	s.answer = func(localaws.Invocation) *localaws.DeliveryFault {
		return &localaws.DeliveryFault{Status: "AccessDenied"}
	}
	out := s.deploy("0.1.0-dev")
	out.wants("failed")
	out.says("instance " + instanceID + " cannot report what it runs")
	s.wantChanges(0, 0)
}

func TestSameVersionWithAnotherImageIsRefused(t *testing.T) {
	s := play(t)
	first := s.deployed("0.1.0-dev").outputs["image-digest"]
	from := len(s.aws.Calls())
	other, _ := s.build("0.1.0-dev", sample.WithEnv("GREETING", "good bye")).Digest()
	out := s.run()
	out.wants("failed")
	out.says(first, other.String(), "0.1.1-dev")
	s.wantChanges(from, 1)
	s.wantRuns("0.1.0-dev")
	if s.tag("0.1.0-dev") != first {
		t.Errorf("the tag is %s, want %s", s.tag("0.1.0-dev"), first)
	}
}

func TestSameVersionWithAnotherBundleIsRefused(t *testing.T) {
	s := play(t)
	first := s.deployed("0.1.0-dev")
	object, _ := s.aws.Object(bucket, "bundles/dev/atta/deploy-bundle-0.1.0-dev.tar.gz")
	from := len(s.aws.Calls())
	s.file("deploy/notes.txt", "more")
	out := s.run()
	out.wants("failed")
	out.says(first.outputs["bundle-uri"]+" holds another bundle, with sha256 "+first.outputs["bundle-sha256"]+" instead of ", "0.1.1-dev")
	s.wantChanges(from, 1)
	if now, ok := s.aws.Object(bucket, "bundles/dev/atta/deploy-bundle-0.1.0-dev.tar.gz"); !ok || string(now) != string(object) {
		t.Error("the bundle was replaced")
	}
}

func TestSameVersionIsReusedWithoutRunningTheJobAgain(t *testing.T) {
	s := playWithScripts(t)
	first := s.deployed("0.1.0-dev")
	if err := os.Remove(s.host.Path("opt/atta/output/greeting.txt")); err != nil {
		t.Fatal(err)
	}
	from := len(s.aws.Calls())
	out := s.run()
	out.wants("success")
	s.wantChanges(from, 2, "atta:latest-dev") // the second deploy only checks the instance
	if s.greeting() != "" || !strings.Contains(out.log, "1 instance of 1 already on 0.1.0-dev") {
		t.Errorf("the job has run again:\n%s", out.log)
	}
	for _, name := range []string{"image-digest", "image-uri", "bundle-uri", "bundle-sha256"} {
		if out.outputs[name] != first.outputs[name] {
			t.Errorf("%s was %q and is %q", name, first.outputs[name], out.outputs[name])
		}
	}
	if out.outputs["image-pushed"] != "false" || out.outputs["previous-version"] != "0.1.0-dev" {
		t.Errorf("outputs are %q", out.outputs)
	}
}

func TestDowngradeNeedsPermission(t *testing.T) {
	s := play(t)
	s.deployed("0.2.0-dev")
	from := len(s.aws.Calls())
	out := s.deploy("0.1.0-dev")
	out.wants("failed")
	out.says("0.1.0-dev is older than 0.2.0-dev", instanceID, "allow-downgrade")
	s.wantChanges(from, 1)
	if s.runs() != "0.2.0-dev" || s.tag("0.1.0-dev") != "" {
		t.Errorf("the instance runs %s, and the older version is tagged %q", s.runs(), s.tag("0.1.0-dev"))
	}
	s.run("allow-downgrade=true").wants("success")
	s.wantRuns("0.1.0-dev")
}

func TestRunStopsInAnotherAccount(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("allowed-account-ids=999999999999,888888888888")
	out.wants("failed")
	out.says("account "+accountID, "allowed-account-ids")
	if calls := s.aws.Calls(); len(calls) != 1 || calls[0].Operation != "sts:GetCallerIdentity" {
		t.Errorf("the calls are %v", calls)
	}
	s.run("allowed-account-ids=999999999999\n" + accountID).wants("success")
}

func TestTwoServicesShareABucketAnEnvironmentAndAVersion(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	for _, service := range []string{"atta", "web"} {
		s.tagInstance(service)
		out := s.run("service=" + service)
		out.wants("success")
		if want := "s3://" + bucket + "/bundles/dev/" + service + "/deploy-bundle-0.1.0-dev.tar.gz"; out.outputs["bundle-uri"] != want {
			t.Errorf("the bundle of %s is %s", service, out.outputs["bundle-uri"])
		}
	}
}

// A central bucket: of another account, in the rollout's region, encrypted by policy, and with Object Lock.
func TestStrictBucketOfAnotherAccountIsUsedOnRequest(t *testing.T) {
	s := play(t)
	const owner = "999999999999"
	s.aws.CreateBucket("elsewhere", localaws.OwnedBy(owner), localaws.InRegion("eu-west-1"))
	s.aws.CreateBucket("theirs", localaws.OwnedBy(owner), localaws.RequireEncryption("aws:kms"), localaws.WithObjectLock())
	s.build("0.1.0-dev")
	s.run("deploy-bucket=theirs", "bucket-owner="+owner).says("no resource-based policy allows the s3:GetObject action", "permissions.md")
	s.aws.CreateBucket("theirs", localaws.OwnedBy(owner), localaws.RequireEncryption("aws:kms"), localaws.WithObjectLock(), allowAccount(t, "theirs"))
	out := s.run("deploy-bucket=elsewhere", "bucket-owner="+owner)
	out.wants("failed")
	out.says("the bucket elsewhere is in region eu-west-1, not in us-east-1", "or aws-region to eu-west-1")
	out = s.run("deploy-bucket=theirs", "bucket-owner="+owner)
	out.wants("failed")
	out.says("s3://theirs/deployments/dev/atta/lock.json", "set server-side-encryption")
	if pushed := s.calls(0, "registry:PUT"); len(pushed) > 0 {
		t.Errorf("pushed %v", pushed)
	}
	s.run("deploy-bucket=theirs", "bucket-owner="+owner, "server-side-encryption=aws:kms").wants("success")
}

// allowAccount adds a policy with which a bucket allows the account of the roles what they need.
func allowAccount(t *testing.T, bucket string) localaws.BucketOption {
	t.Helper()
	policy, err := iam.Parse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + accountID + `"},
		"Action":["s3:GetObject","s3:PutObject","s3:ListBucket"],"Resource":["arn:aws:s3:::` + bucket + `","arn:aws:s3:::` + bucket + `/*"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	return localaws.WithPolicy(policy)
}

func TestBucketOfAnotherAccountIsRefused(t *testing.T) {
	s := play(t)
	s.aws.CreateBucket("theirs", localaws.OwnedBy("999999999999"))
	s.build("0.1.0-dev")
	out := s.run("deploy-bucket=theirs")
	out.wants("failed")
	out.says("s3://theirs/deployments/dev/atta/current.json", "belongs to another account, set bucket-owner")
	if pushed := s.calls(0, "registry:PUT"); len(pushed) > 0 {
		t.Errorf("pushed %v", pushed)
	}
	if _, ok := s.aws.Object("theirs", "bundles/dev/atta/deploy-bundle-0.1.0-dev.tar.gz"); ok || len(s.deploys()) > 0 {
		t.Errorf("written is %t, deploys are %d", ok, len(s.deploys()))
	}
}

// A bucket may encrypt with a key of the user's, on which each role needs permissions as well:
// https://github.com/aws/aws-cdk/issues/14045, https://github.com/boto/boto3/issues/2952
func TestCaseTheKeyThatEncryptsTheBucketIsNamed(t *testing.T) {
	s := playWithScripts(t)
	const key = "arn:aws:kms:us-east-1:123456789012:key/4711"
	s.aws.CreateBucket(bucket, localaws.EncryptedBy(key))
	out := s.deploy("0.1.0-dev")
	out.wants("failed")
	out.says("is not authorized to perform: kms:GenerateDataKey on resource: "+key, "if a key of yours encrypts the bucket, the role needs kms:GenerateDataKey and kms:Decrypt on it")
	if pushed := s.calls(0, "registry:PUT"); len(pushed) > 0 {
		t.Errorf("pushed %v", pushed)
	}
	allowed := []string{usualModule.RoleName("deploy")}
	s.changeRole = func(r *localaws.Role) {
		if slices.Contains(allowed, r.Name) {
			r.Policies = append(r.Policies, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"`+key+`"}]}`)
		}
	}
	out = s.deploy("0.1.0-dev")
	out.wants("failed")
	out.says("An error occurred (AccessDenied) when calling the GetObject operation: User: arn:aws:sts::123456789012:assumed-role/atta-instance-dev/" + instanceID + " is not authorized to perform: kms:Decrypt on resource: " + key)
	allowed = append(allowed, usualModule.RoleName("instance"))
	s.deployed("0.1.0-dev")
}

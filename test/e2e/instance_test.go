package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// instance is the stage's one instance. It runs the scripts and the job, or it is
// simulated and answers as they would.
type instance struct {
	host      *host.Host // nil: simulated
	simulated *simhost.Host
	machine   localaws.Machine // one of them

	mu        sync.Mutex
	behaviors map[string]simhost.Behavior // of a version that is simulated
}

func (s *stage) addSimulatedInstance() {
	s.behaviors, s.simulated = map[string]simhost.Behavior{}, simhost.New("", "")
	s.simulated.NextBehavior = func(version string) simhost.Behavior {
		s.instance.mu.Lock()
		defer s.instance.mu.Unlock()
		return s.behaviors[version]
	}
	s.machine = s.simulated
	s.tagInstance("atta")
}

// addScriptInstance adds an instance with stand-ins for docker, systemctl and aws.
func (s *stage) addScriptInstance() {
	s.t.Helper()
	key := s.aws.RoleCredentials(usualModule.RoleName("instance"), instanceID)
	var err error
	s.host, err = host.New(host.Options{
		Dir: s.t.TempDir(), Endpoint: s.aws.URL(), AWSCLI: "standin", Standins: tools,
		AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.machine = s.host
	s.tagInstance("atta")
}

// tagInstance makes the instance one of a service, to which the module's roles for the service may send commands.
func (s *stage) tagInstance(service string) {
	tags := map[string]string{"Environment": "dev", "Service": service}
	s.aws.AddInstance(localaws.Instance{ID: instanceID, Name: "one", Machine: s.machine, InjectFault: s.deliver, Tags: tags, Role: usualModule.RoleName("instance")})
}

func (i *instance) setBehavior(version string, behavior simhost.Behavior) {
	if i.simulated == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.behaviors[version] = behavior
}

// failing makes a version's job fail.
func (i *instance) failing(version string) sample.Option {
	i.setBehavior(version, simhost.Behavior{Unhealthy: true})
	return sample.WithExitCode(3)
}

// slow makes a version's job take a minute.
func (i *instance) slow(version string) sample.Option {
	i.setBehavior(version, simhost.Behavior{Duration: time.Minute})
	return sample.WithEnv("SLEEP", "1m")
}

// runs returns the version that the instance has installed; empty: none.
func (i *instance) runs() string {
	if i.simulated != nil {
		state := i.simulated.State()
		if state.Runs != state.Digest && !state.Busy {
			return "another image than " + state.Version
		}
		return state.Version
	}
	target, err := os.Readlink(i.host.Path("opt/atta/current"))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// isStarted reports whether the version's job has begun.
func (i *instance) isStarted(version string) bool {
	if i.simulated != nil {
		return i.runs() == version
	}
	return i.greeting() == "hello from "+version
}

// wantRuns checks what the instance runs, and that its job was the last to write.
func (s *stage) wantRuns(version string) {
	s.t.Helper()
	if s.runs() != version {
		s.t.Errorf("the instance runs %q, want %s", s.runs(), version)
	}
	if s.host != nil && s.greeting() != "hello from "+version {
		s.t.Errorf("the job wrote %q", s.greeting())
	}
}

// greeting returns what the job has written; empty: it has not run.
func (i *instance) greeting() string {
	text, _ := os.ReadFile(i.host.Path("opt/atta/output/greeting.txt"))
	return strings.TrimSpace(string(text))
}

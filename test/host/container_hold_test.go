//go:build e2e

package host_test

import (
	"context"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"github.com/org/atta-deploy-action/localaws"
)

// hooks are wrappers that stop, or do something else, once, before the command that
// /root/hook names in its first line.
const hooks = `
cat >/usr/local/sbin/hook <<'END'
#!/bin/sh
if [ -f /root/hook ]; then
  read -r at </root/hook
  case "${0##*/} $*" in
    $at) /usr/bin/mv /root/hook /run/hook && /usr/bin/sh -c "$(/usr/bin/sed 1d /run/hook)" ;;
  esac
fi
exec "/usr/bin/${0##*/}" "$@"
END
chmod 0755 /usr/local/sbin/hook
for command in systemctl docker mv ln tar; do
  ln -s hook /usr/local/sbin/$command
done`

// before has the script run, once, before the command that matches the pattern at.
func (m guest) before(at, script string) {
	m.t.Helper()
	m.output("printf '%s\\n' " + shellescape.QuoteCommand([]string{m.named(at), m.named(script)}) + " >/root/hook")
}

// held starts a deploy, waits until it is about to run the command that matches the
// pattern at, and returns its cancel function, which waits for its end.
func (m guest) held(at, version string, changes ...change) (cancel func()) {
	m.t.Helper()
	m.before(at, "touch /run/held; sleep 1000")
	script := m.command(version, changes...)
	ctx, stop := context.WithCancel(m.t.Context())
	ended := make(chan localaws.Exit, 1)
	go func() { ended <- m.Run(ctx, script, nil) }()
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		m.run("for i in {1..400}; do [[ ! -e /run/held ]] || exit 0; sleep 0.1; done")
	}()
	select {
	case exit := <-ended:
		stop()
		m.t.Fatalf("%s was never reached: exit %d\n%s%s", at, exit.Code, exit.Stdout, exit.Stderr)
	case <-waiting:
	}
	m.output("test -e /run/held && rm /run/held")
	return func() {
		stop()
		<-ended
	}
}

// named puts the service's name for SERVICE.
func (m guest) named(text string) string { return strings.ReplaceAll(text, "SERVICE", m.service) }

// command is the script of the SSM command that deploys a version.
func (m machine) command(version string, changes ...change) string {
	m.t.Helper()
	return script(m.prepare(version, changes...).args)
}

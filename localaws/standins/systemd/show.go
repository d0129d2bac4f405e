package systemd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// showUnit prints properties, always in systemd's own order: that of --property
// does not count, which matters with --value.
func (m *manager) showUnit(name string, options instance.Options) error {
	u, stale, err := m.loadUnit(name)
	if err != nil {
		return err
	}
	s, err := m.readState(name)
	if err != nil {
		return err
	}
	loaded := "loaded"
	if u == nil {
		loaded, u = "not-found", &unit{name: name}
	} else if len(u.fatal) > 0 {
		loaded = "bad-setting"
	}
	properties := slices.Concat(m.typeProperties(u, s), [][2]string{
		{"Id", name},
		{"Names", name},
	}, u.dependencyProperties(), [][2]string{
		{"Description", u.description()},
		{"LoadState", loaded},
		{"ActiveState", s.Active},
		{"SubState", s.Sub},
		{"FragmentPath", u.path},
		{"UnitFileState", m.fileState(name)},
	}, m.timestampProperties("StateChange", s.Changed), m.timestampProperties("InactiveExit", s.InactiveExit), m.timestampProperties("ActiveEnter", s.ActiveEnter),
		m.timestampProperties("ActiveExit", s.ActiveExit), m.timestampProperties("InactiveEnter", s.InactiveEnter), [][2]string{
			{"NeedDaemonReload", yesNo(stale)},
			{"ConditionResult", yesNo(!s.Unmet && !s.InactiveExit.IsZero())},
			{"InvocationID", s.Invocation},
		})
	var wanted []string
	for _, list := range options["property"] {
		wanted = append(wanted, strings.Split(list, ",")...)
	}
	for _, property := range properties {
		switch {
		case len(wanted) > 0 && !slices.Contains(wanted, property[0]):
		case options.Has("value"):
			fmt.Println(property[1])
		default:
			fmt.Printf("%s=%s\n", property[0], property[1])
		}
	}
	return nil
}

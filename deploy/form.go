package deploy

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Parts of the forms below, as bootstrap.sh has them.
const (
	nameForm = `[a-z][a-z0-9]*(-[a-z0-9]+)*`
	// A service's name must not be a prefix of container IDs, by which docker would find another container.
	serviceForm = `([a-z][a-z0-9]*(-[a-z0-9]+)+|([g-z]|[a-f][a-f0-9]*[g-z])[a-z0-9]*)`
	numberForm  = `[1-9][0-9]{0,11}`
	timeForm    = `[1-9][0-9]{0,5}` // seconds
	switchForm  = `(true|false)`
)

// forms are what the host accepts for each parameter.
func forms() map[string]string {
	return map[string]string{
		"service":           serviceForm,
		"deployment":        `[A-Za-z0-9-]{1,64}`,
		"about":             `[A-Za-z0-9-]{1,64}`,
		"version":           `(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)-` + nameForm,
		"image":             `[a-z0-9.:-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}`,
		"image-bytes":       `(0|` + numberForm + `)`,
		"region":            `[a-z]{2,8}(-[a-z]{1,16}){1,3}-[0-9]{1,2}`,
		"bundle":            `s3://[a-z0-9.-]+/[A-Za-z0-9._/=-]+`,
		"sha256":            `[0-9a-f]{64}`,
		"not-after":         numberForm,
		"generation":        `([1-9][0-9]{0,8}|1000000000)`,
		"allow-downgrade":   switchForm,
		"allow-quarantined": switchForm,
		"rollback":          switchForm,
		"on-running":        `(wait|kill)`,
		"drain-timeout":     `(0|` + timeForm + `)`,
		"run-on-deploy":     switchForm,
		"health-command":    fmt.Sprintf(`[^[:cntrl:]]{1,%d}`, MaxHealthCommand),
		"health-url":        fmt.Sprintf(`http://[^[:cntrl:][:space:]]{1,%d}`, MaxHealthURL),
		"health-timeout":    timeForm,
		"min-healthy-time":  timeForm,
		"keep-releases":     `[1-9][0-9]{0,2}`,
		"live-log":          switchForm,
		"settings-from":     `(/[A-Za-z0-9_.-]+){1,14}/?`,
		"allow-env-file":    switchForm,
	}
}

// compiledForms are forms that match a whole value.
var compiledForms = sync.OnceValue(func() map[string]*regexp.Regexp {
	compiled := map[string]*regexp.Regexp{}
	for name, form := range forms() {
		compiled[name] = regexp.MustCompile(`^(` + form + `)$`)
	}
	return compiled
})

// MatchesForm reports whether a host would accept value for the parameter of that name, such as version or image.
func MatchesForm(name, value string) bool {
	form := compiledForms()[name]
	return form != nil && form.MatchString(value)
}

// checkForm reports a parameter that a host would refuse.
func checkForm(parameter string) error {
	name, value, _ := strings.Cut(strings.TrimPrefix(parameter, "--"), "=")
	if !MatchesForm(name, value) {
		return fmt.Errorf("parameter --%s is not valid: %.80q", name, value)
	}
	return nil
}

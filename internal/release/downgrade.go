package release

import "fmt"

// DowngradeError reports that an instance runs a newer version than the requested one.
type DowngradeError struct {
	Wanted, Current Version
	Instance        string
}

func (e *DowngradeError) Error() string {
	return fmt.Sprintf("%s is older than %s, which runs on %s; set allow-downgrade: true to deploy it anyway",
		e.Wanted, e.Current, e.Instance)
}

// CheckDowngrade returns a *DowngradeError if wanted is older than current, the version that the instance runs. If it runs
// nothing, the zero Version, any version is accepted.
func CheckDowngrade(wanted, current Version, instance string) error {
	if current == (Version{}) || wanted.Compare(current) >= 0 {
		return nil
	}
	return &DowngradeError{Wanted: wanted, Current: current, Instance: instance}
}

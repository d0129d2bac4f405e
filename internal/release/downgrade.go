package release

import "fmt"

// DowngradeError says that an instance runs something newer than what is wanted.
type DowngradeError struct {
	Wanted, Current Version
	Instance        string
}

func (e *DowngradeError) Error() string {
	return fmt.Sprintf("%s is older than %s, which runs on %s; set allow-downgrade: true to go back",
		e.Wanted, e.Current, e.Instance)
}

// CheckDowngrade returns a *DowngradeError when wanted is older than current, the version that runs on the instance.
// An instance that runs nothing, the zero Version, takes any.
func CheckDowngrade(wanted, current Version, instance string) error {
	if current == (Version{}) || wanted.Compare(current) >= 0 {
		return nil
	}
	return &DowngradeError{Wanted: wanted, Current: current, Instance: instance}
}

package github

import "strings"

// Mask makes GitHub print *** instead of the secret. Each line is masked separately, since the runner matches the log line
// by line. Outside GitHub it does nothing.
func (a *Action) Mask(secret string) {
	if a.gh.Getenv("GITHUB_ACTIONS") != "true" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range strings.FieldsFuncSeq(secret, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if strings.TrimSpace(line) != "" {
			a.gh.AddMask(line)
		}
	}
}

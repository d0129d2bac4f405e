package localaws

import "strconv"

// cutPage returns the page that token names and the token of the next page, nil after the
// last.
func cutPage[T any](all []T, token string, size int) (items []T, next any, err error) {
	start := 0
	if token != "" {
		if start, err = strconv.Atoi(token); err != nil || start < 0 || start > len(all) {
			return nil, nil, &Error{Code: "InvalidNextToken", Message: "The specified token isn't valid."}
		}
	}
	end := min(start+size, len(all))
	if end < len(all) {
		next = strconv.Itoa(end)
	}
	return all[start:end], next, nil
}

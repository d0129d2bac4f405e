package inputs

import "strings"

// suggestInput returns "; did you mean X?" for the input closest to name, as spell writes it, or an empty string.
func (d Definition) suggestInput(name string, spell func(Input) string) string {
	name = strings.ToLower(strings.ReplaceAll(strings.TrimLeft(name, "-"), "_", "-"))
	nearest, distance := "", len(name)/3+1
	for _, input := range d.Inputs {
		if n := editDistance(name, input.Name); n < distance {
			nearest, distance = spell(input), n
		}
	}
	if nearest == "" {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// editDistance is the number of bytes to insert, delete or replace to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

package action

// Definition is what action.yml promises, in its order.
type Definition struct {
	Name        string
	Description string
	Inputs      []Input
	Outputs     []Output
}

// Input is one input of action.yml, the only place of its default.
type Input struct {
	Name        string
	Description string
	Default     string
	Required    bool
}

// Output is one output of action.yml.
type Output struct {
	Name        string
	Description string
}

// ParseDefinition reads action.yml.
func ParseDefinition(actionYML []byte) (Definition, error) {
	return Definition{}, nil
}

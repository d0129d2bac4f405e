package deploy

// Forms are what the Go half accepts for each parameter.
var Forms = forms

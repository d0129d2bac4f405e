package deploy

// The bounds that both halves of the contract keep.
const (
	// MaxGeneration is the highest fencing generation that a host accepts, more than any
	// lease will reach.
	MaxGeneration = 1_000_000_000
	// MaxMessage is how many characters of a message are kept.
	MaxMessage = 600
	// MaxReportLine is how many bytes of a result line a host prints, few enough to survive
	// the truncation of SSM's lists at 2,500 characters:
	// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_CommandPlugin.html
	MaxReportLine = 2000
	// MaxHealthCommand and MaxHealthURL are lengths in characters.
	MaxHealthCommand = 1000
	MaxHealthURL     = 500
	// MaxBundle is how many bytes a bundle has at most, packed or unpacked. It is meant for
	// scripts and units, not for programs.
	MaxBundle = 32 << 20
	// MaxReleasesListed is how many verified releases a status names.
	MaxReleasesListed = 20
)

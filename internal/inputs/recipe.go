package inputs

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// parseRecipe reads the inputs that describe an image built from files.
func (p *parser) parseRecipe(workspace string) Recipe {
	recipe := Recipe{
		Base:       p.rawValue("image"),
		Workspace:  workspace,
		Files:      p.parseImageFiles("image-files", workspace),
		Platforms:  p.parseList("image-platforms", platform),
		Entrypoint: p.parseCommand("image-entrypoint"),
		Command:    p.parseCommand("image-command"),
		Env:        p.parseLines("image-env", envVariable),
		User:       p.parseText("image-user", user),
		Workdir:    p.parseText("image-workdir", imagePath),
	}
	for _, label := range p.parseLines("image-labels", imageLabel) {
		if recipe.Labels == nil {
			recipe.Labels = map[string]string{}
		}
		name, value, _ := strings.Cut(label, "=")
		recipe.Labels[name] = value
	}
	switch scratch := p.rawValue("image") == "scratch"; {
	case p.rawValue("image-files") != "":
		if scratch && p.rawValue("image-command") == "" {
			p.requireInput("image-entrypoint", commandWords+", since image is scratch")
		}
		return recipe
	case scratch:
		p.requireInput("image-files", imageFile.description+", since image is scratch")
	default:
		for _, name := range []string{"platforms", "entrypoint", "command", "env", "user", "workdir", "labels"} {
			p.forbidInput("image-"+name, "image-files is not set, so image is pushed unchanged")
		}
	}
	return Recipe{}
}

// parseImageFiles reads path:/destination[:mode].
func (p *parser) parseImageFiles(name, workspace string) (files []File) {
	for _, line := range p.parseLines(name, imageFile) {
		parts := strings.Split(line, ":")
		path, ok := cleanWorkspacePath(parts[0], workspace)
		if !ok {
			p.rejectValue(name, line, insideWorkspace)
			continue
		}
		file := File{Path: path, To: parts[1]}
		if len(parts) == 3 {
			mode, _ := strconv.ParseUint(parts[2], 8, 12)
			file.Mode = fs.FileMode(mode)
		}
		files = append(files, file)
	}
	return files
}

const commandWords = `a JSON array of strings, as in ["/usr/local/bin/app", "serve"]`

// parseCommand reads a JSON array; an empty array is not nil.
func (p *parser) parseCommand(name string) []string {
	value := p.rawValue(name)
	if value == "" {
		return nil
	}
	var words []*string
	if err := json.Unmarshal([]byte(value), &words); err != nil || words == nil || slices.Contains(words, nil) {
		p.rejectValue(name, value, commandWords)
		return nil
	}
	command := []string{}
	for _, word := range words {
		if *word != "" && !printable.matches(*word) {
			p.rejectValue(name, *word, printable.description)
		}
		command = append(command, *word)
	}
	return command
}

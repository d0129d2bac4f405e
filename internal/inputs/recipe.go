package inputs

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// recipe reads the inputs that make an image of files.
func (r *reader) recipe(workspace string) Recipe {
	recipe := Recipe{
		Files:      r.files("image-files", workspace),
		Platforms:  r.list("image-platforms", platform),
		Entrypoint: r.command("image-entrypoint"),
		Command:    r.command("image-command"),
		Env:        r.lines("image-env", envVariable),
		User:       r.text("image-user", user),
		Workdir:    r.text("image-workdir", imagePath),
	}
	for _, label := range r.lines("image-labels", imageLabel) {
		if recipe.Labels == nil {
			recipe.Labels = map[string]string{}
		}
		name, value, _ := strings.Cut(label, "=")
		recipe.Labels[name] = value
	}
	switch scratch := r.value("image") == "scratch"; {
	case r.value("image-files") != "":
		if scratch && r.value("image-command") == "" {
			r.require("image-entrypoint", commandWords+", since image is scratch, which has none")
		}
		return recipe
	case scratch:
		r.require("image-files", imageFile.words+", since image is scratch, which has none")
	default:
		for _, name := range []string{"platforms", "entrypoint", "command", "env", "user", "workdir", "labels"} {
			r.forbid("image-"+name, "image-files puts no files on image, which is pushed as it is")
		}
	}
	return Recipe{}
}

// files reads path:/destination[:mode].
func (r *reader) files(name, workspace string) (files []File) {
	for _, line := range r.lines(name, imageFile) {
		parts := strings.Split(line, ":")
		path, ok := inside(parts[0], workspace)
		if !ok {
			r.reject(name, line, "a path inside the workspace")
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

// command reads a JSON array; an empty one is not nil.
func (r *reader) command(name string) []string {
	value := r.value(name)
	if value == "" {
		return nil
	}
	var words []*string
	if err := json.Unmarshal([]byte(value), &words); err != nil || words == nil || slices.Contains(words, nil) {
		r.reject(name, value, commandWords)
		return nil
	}
	command := []string{}
	for _, word := range words {
		if *word != "" && !printable.fits(*word) {
			r.reject(name, *word, printable.words)
		}
		command = append(command, *word)
	}
	return command
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// lineWidth is where a command goes on in a new line: what fits on a projector and in a README.
const lineWidth = 100

// terminal is where the demo shows itself. It is used by one goroutine.
type terminal struct {
	w      io.Writer
	styled bool
}

// newTerminal styles its output only on a terminal, and there only if noColor, which is NO_COLOR's value, is empty.
//
// https://no-color.org
func newTerminal(f *os.File, noColor string) *terminal {
	info, err := f.Stat()
	return &terminal{w: f, styled: err == nil && info.Mode()&os.ModeCharDevice != 0 && noColor == ""}
}

const (
	bold  = "1"
	green = "1;32"
	red   = "1;31"
)

func (t *terminal) style(code, text string) string {
	if !t.styled {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// explain says in one line what the next command is for.
func (t *terminal) explain(text string) {
	fmt.Fprintf(t.w, "\n%s\n", t.style(green, "# "+text))
}

// command shows words as they would be typed into a shell.
func (t *terminal) command(words ...string) {
	fmt.Fprintf(t.w, "%s\n", t.style(bold, "$ "+shellLine(words)))
}

// output shows what a command printed, without blank lines around it.
func (t *terminal) output(text string) {
	if text = strings.Trim(text, "\n"); text != "" {
		fmt.Fprintln(t.w, text)
	}
}

func (t *terminal) printf(format string, args ...any) {
	fmt.Fprintf(t.w, format+"\n", args...)
}

func (t *terminal) failure(err error) {
	fmt.Fprintf(t.w, "\n%s %v\n", t.style(red, "The demo failed:"), err)
}

// shellLine quotes what a shell would change and breaks a long line between words.
func shellLine(words []string) string {
	var line strings.Builder
	width := len("$ ")
	for i, word := range words {
		word = shellWord(word)
		switch {
		case i == 0:
		case width+1+len(word)+len(` \`) > lineWidth:
			line.WriteString(" \\\n    ")
			width = 4
		default:
			line.WriteByte(' ')
			width++
		}
		line.WriteString(word)
		width += len(word)
	}
	return line.String()
}

func shellWord(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\n'\"\\$&;|<>()*?[]{}~`#!") {
		return word
	}
	// A word NAME="value with spaces" reads better, and works, with the quotes around the value alone.
	if name, value, found := strings.Cut(word, "="); found && !strings.ContainsAny(name, " '\"") {
		return name + "=" + shellQuote(value)
	}
	return shellQuote(word)
}

func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

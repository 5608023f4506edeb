// Package docs checks the documents of the work tree.
package docs

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// top is the work tree.
const top = ".."

// TestLinks_LeadSomewhere follows every relative link of every document, with its anchor. Links to other hosts are only
// checked for their form: no test needs a network.
func TestLinks_LeadSomewhere(t *testing.T) {
	t.Parallel()
	followed := 0
	for _, document := range documents(t) {
		for _, link := range links(read(t, document)) {
			followed++
			if err := follow(document, link); err != nil {
				t.Errorf("%s links to %q: %v", document, link, err)
			}
		}
	}
	if followed < 50 {
		t.Errorf("only %d links were found", followed)
	}
}

// TestArchitecture_NamesWhatExists compares ARCHITECTURE.md with the work tree: every file that it names is there,
// and every internal package has a row.
func TestArchitecture_NamesWhatExists(t *testing.T) {
	t.Parallel()
	text := read(t, "ARCHITECTURE.md")
	for _, name := range regexp.MustCompile("`([a-z][a-zA-Z0-9_/]*\\.go)`").FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(top, name[1])); err != nil {
			t.Errorf("ARCHITECTURE.md names %s, which is not there", name[1])
		}
	}
	packages, err := os.ReadDir(filepath.Join(top, "internal"))
	if err != nil || len(packages) == 0 {
		t.Fatalf("no internal package was found: %v", err)
	}
	for _, p := range packages {
		if p.IsDir() && !strings.Contains(text, "| `internal/"+p.Name()+"` |") {
			t.Errorf("ARCHITECTURE.md has no row for internal/%s; add one to its table of packages", p.Name())
		}
	}
}

// documents are the Markdown files that git knows or would add.
func documents(t *testing.T) []string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md")
	list.Dir = top
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(top, name)); err == nil { // not deleted and not yet committed
			found = append(found, name)
		}
	}
	if len(found) < 5 {
		t.Fatalf("only %d documents were found", len(found))
	}
	return found
}

func read(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, document))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// links returns the targets of a document's links and images, code left out.
func links(text string) []string {
	var found []string
	for _, line := range proseLines(text) {
		line = regexp.MustCompile("`[^`]*`").ReplaceAllString(line, "code")
		for _, match := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(line, -1) {
			found = append(found, match[1])
		}
	}
	return found
}

// proseLines are the lines outside of fenced code.
func proseLines(text string) []string {
	var lines []string
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			lines = append(lines, line)
		}
	}
	return lines
}

// follow checks one link of a document.
func follow(document, link string) error {
	target, err := url.Parse(link)
	if err != nil {
		return err
	}
	if target.Scheme != "" {
		if target.Scheme != "https" || target.Host == "" {
			return fmt.Errorf("it is neither relative nor https")
		}
		return nil
	}
	path := document
	if target.Path != "" {
		path = filepath.Join(filepath.Dir(document), target.Path)
	}
	if strings.HasPrefix(path, "..") {
		return fmt.Errorf("it leaves the work tree")
	}
	info, err := os.Stat(filepath.Join(top, path))
	if err != nil {
		return fmt.Errorf("there is no such file")
	}
	if target.Fragment == "" {
		return nil
	}
	if info.IsDir() || filepath.Ext(path) != ".md" {
		return fmt.Errorf("only documents have headings")
	}
	text, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		return err
	}
	if !anchors(string(text))[target.Fragment] {
		return fmt.Errorf("%s has no such heading", path)
	}
	return nil
}

// anchors are the names under which a document's headings can be linked to: in lower case, with dashes for spaces,
// without other signs than dashes and underscores, and with a number when the same comes again.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, line := range proseLines(text) {
		marks, title, isHeading := strings.Cut(line, " ")
		if !isHeading || marks == "" || strings.Trim(marks, "#") != "" {
			continue
		}
		// Of a link in a heading its text alone counts.
		title = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
		name := anchor(title)
		for i, first := 1, name; found[name]; i++ {
			name = fmt.Sprintf("%s-%d", first, i)
		}
		found[name] = true
	}
	return found
}

func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}

func TestLinks_AreFoundAndJudged(t *testing.T) {
	t.Parallel()
	text := "# A [b](c.md) `d`\n[x](y.md) and `[no](code.md)`\n```\n[no](fenced.md)\n```\n![i](z.png)\n" +
		"## Twice\n## Twice\n"
	if got := strings.Join(links(text), " "); got != "c.md y.md z.png" {
		t.Errorf("links: %s", got)
	}
	for _, name := range []string{"a-b-d", "twice", "twice-1"} {
		if !anchors(text)[name] {
			t.Errorf("there is no anchor %q in %v", name, anchors(text))
		}
	}
	for link, says := range map[string]string{
		"links_test.go": "", "#no": "has no such heading", "no.md": "no such file", "links_test.go#x": "only documents",
		"../../x": "leaves the work tree", "../README.md#set-it-up": "",
		"http://example.org": "neither relative nor https", "https://example.org/x#y": "",
	} {
		err := follow("docs/apps.md", link)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", link, err, says)
		}
	}
}

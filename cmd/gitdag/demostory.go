package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"gitdag/gitsync/sample"
	"gitdag/notify"
)

// demoFiles is the project in the sample repository, as its first commit has it.
//
//go:embed demo
var demoFiles embed.FS

// chapter is one commit to the sample repository, and what is waited for
// before the next one.
type chapter struct {
	author  string
	subject string
	change  func(files map[string]string) // of the project's files, by path
	note    string                        // on the schedules, once the commit is live
	until   []string                      // moments under the commit's revision
}

// demoStory shows a success, a commit that breaks a workflow, the message, the
// commit that mends it, and a schedule that changes; none needs a restart.
func demoStory() []chapter {
	const script = "scripts/count.sh"
	replaceIn := func(files map[string]string, name, from, to string) {
		files[name] = strings.ReplaceAll(files[name], from, to)
	}
	return []chapter{
		{
			"Ada", "Greet, report, and look back every night",
			func(map[string]string) {},
			"hello and report are due every two seconds",
			[]string{ended("hello", true), ended("report", true)},
		},
		{
			"Grace", "Count the visits of all shops",
			func(files map[string]string) { replaceIn(files, script, "data/visits.txt", "data/all-shops.txt") },
			"",
			[]string{ended("report", false), told("report", notify.AttemptFailed)},
		},
		{
			"Ada", "Add the numbers of all shops",
			func(files map[string]string) { files["data/all-shops.txt"] = "north 31\nsouth 45\n" },
			"",
			[]string{ended("report", true), told("report", notify.AttemptRecovered)},
		},
		{
			"Grace", "Once a minute is enough",
			func(files map[string]string) {
				for _, name := range []string{"hello.dig", "report.dig"} {
					replaceIn(files, name, "seconds_interval>: 2", "seconds_interval>: 60")
					replaceIn(files, name, "every two seconds", "every minute")
				}
			},
			"hello and report are due every minute",
			nil,
		},
	}
}

// story makes its commits one by one.
type story struct {
	n        *narrator
	repo     *sample.Repository
	files    map[string]string
	chapters []chapter // that are not over; the first may have its commit
	revision string    // the last commit
}

func newStory(n *narrator, repo *sample.Repository) (*story, error) {
	files, err := readDemoFiles()
	return &story{n: n, repo: repo, files: files, chapters: demoStory()}, err
}

// commit makes the commit of the chapter that comes now.
func (s *story) commit() error {
	c := s.chapters[0]
	c.change(s.files)
	id, err := s.repo.Commit(sample.Commit{
		Author: c.author, Email: strings.ToLower(c.author) + "@example.com", Time: time.Now(), Subject: c.subject, Write: s.files,
	})
	if err != nil {
		return err
	}
	s.revision = id
	s.n.line(plain, "commit", "%s by %s: %s", shortRevision(id), c.author, c.subject)
	return nil
}

// tell goes on from the first commit to the end: it makes each further one when
// the one before it has shown what it is there to show.
func (s *story) tell(ctx context.Context, agentEnded <-chan struct{}) error {
	for {
		if err := hold(ctx, s.n.moment(s.revision, live), agentEnded); err != nil {
			return err
		}
		if note := s.chapters[0].note; note != "" {
			s.n.line(plain, "schedule", "%s", note)
		}
		for _, m := range s.chapters[0].until {
			if err := hold(ctx, s.n.moment(s.revision, m), agentEnded); err != nil {
				return err
			}
		}
		if s.chapters = s.chapters[1:]; len(s.chapters) == 0 {
			return nil
		}
		if err := s.commit(); err != nil {
			return err
		}
	}
}

func readDemoFiles() (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(demoFiles, "demo", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := demoFiles.ReadFile(path)
		files[strings.TrimPrefix(path, "demo/")] = string(data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sample project: %w", err)
	}
	return files, nil
}

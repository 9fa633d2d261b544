package blackbox

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// fakePostgres is postgres: --version, -C NAME, or the server. The first two can be told to hang, to fail, to answer
// with garbage, or to be killed; and the second alone, with killed-settings. For the server see server.
func fakePostgres() {
	p := ownPlace()
	p.noteCall()
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		p.behave("postgres")
		fmt.Printf("postgres (PostgreSQL) %s.6 (Debian %s.6-0+deb12u1)\n", p.read("version"), p.read("version"))
		os.Exit(0)
	}
	line := readCommandLine(os.Args[1:])
	settings, err := line.settings()
	if err != nil {
		fatal("%v", err)
	}
	if line.ask != "" {
		p.behave("postgres")
		if _, killed := p.toldOf("postgres", "killed-settings"); killed {
			killSelf()
		}
		if settings["data_directory"] == "" {
			settings["data_directory"] = line.dir // as the real one says
		}
		printSetting(settings, line.ask)
		os.Exit(0)
	}
	runServer(p, line.dir, settings)
}

func printSetting(settings map[string]string, name string) {
	value, ok := settings[name]
	if !ok {
		fatal("unrecognized configuration parameter %q", name)
	}
	fmt.Println(value)
}

// fatal is how PostgreSQL gives up.
func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "2026-11-21 07:54:12.672 UTC [%d] FATAL:  %s\n", os.Getpid(), fmt.Sprintf(format, args...))
	os.Exit(1)
}

type commandLine struct {
	dir     string
	ask     string            // -C
	options map[string]string // -c
}

func readCommandLine(args []string) commandLine {
	c := commandLine{options: map[string]string{}}
	for len(args) >= 2 {
		switch args[0] {
		case "-D":
			c.dir = args[1]
		case "-C":
			c.ask = args[1]
		case "-c":
			name, value, _ := strings.Cut(args[1], "=")
			c.options[name] = value
		default:
			fatal("invalid option %q", args[0])
		}
		args = args[2:]
	}
	if len(args) > 0 {
		fatal("invalid argument: %q", args[0])
	}
	return c
}

// defaultSettings are those of PostgreSQL that the agent asks for, or the fake has a use for.
func defaultSettings() map[string]string {
	return map[string]string{
		"hot_standby": "on", "wal_level": "replica", "primary_conninfo": "", "recovery_target_timeline": "latest",
		"recovery_target": "", "recovery_target_lsn": "", "recovery_target_name": "", "recovery_target_time": "",
		"recovery_target_xid": "", "port": "5432", "unix_socket_directories": "/tmp", "data_directory": "",
		"config_file": "",
	}
}

// settings are those with which a start would go: the defaults, postgresql.conf, the command line.
func (c commandLine) settings() (map[string]string, error) {
	file := c.dir + "/postgresql.conf"
	if other, ok := c.options["config_file"]; ok {
		file = other
	}
	settings := defaultSettings()
	if err := readSettings(settings, file); err != nil {
		return nil, err
	}
	for name, value := range c.options {
		settings[name] = value
	}
	return settings, nil
}

// readSettings reads lines of the form name = 'value', in which ” is a quotation mark.
func readSettings(settings map[string]string, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("could not open configuration file %q: %w", file, reasonOf(err))
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if _, known := settings[name]; !known || !ok {
			return fmt.Errorf("configuration file %q contains errors", file)
		}
		settings[name] = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'"), "''", "'")
	}
	return nil
}

// backendTitle is what a server process calls itself in its command line.
const backendTitle = "postgres: walwriter"

// fakeBackend is a process of the server that outlives it.
func fakeBackend() {
	ownPlace().rememberServer()
	time.Sleep(longestLife)
}

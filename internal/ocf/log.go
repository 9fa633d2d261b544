package ocf

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"pgsqlms/internal/command"
)

// Logger writes what the agent has to say where resource-agents' ocf_log would:
// on a terminal to standard error only; otherwise to syslog when HA_LOGFACILITY
// names a facility, and to the file HA_LOGFILE; to standard error, which Pacemaker
// logs, when there is neither, or the file cannot be written in time. Debug lines only when HA_debug asks for them.
//
// A log that cannot be written never fails or delays an action, not even on storage that
// stands still: Pacemaker's log is on a disk, and an agent that waits for it cannot be
// ended. Close ends the log.
type Logger struct {
	stderr   io.Writer
	tag      string
	terminal bool
	facility int               // syslog's number, -1 for none
	file     *command.Appender // nil for none
	debug    bool
}

const reasonPrefix = "ocf-exit-reason:"

// logWait bounds the wait for a syslog daemon that does not read its socket, for a full
// pipe to what writes the file, and for its end.
const logWait = 100 * time.Millisecond

// NewLogger reads where to log to from environ. terminal says whether stderr is one.
func NewLogger(agent, instance string, environ []string, stderr io.Writer, terminal bool) *Logger {
	env := environment(environ)
	l := &Logger{
		stderr:   stderr,
		tag:      fmt.Sprintf("%s(%s)[%d]", agent, instance, os.Getpid()),
		terminal: terminal,
		facility: syslogFacility(env["HA_LOGFACILITY"]),
		debug:    env["HA_debug"] != "" && env["HA_debug"] != "0",
	}
	if path := env["HA_LOGFILE"]; path != "" {
		l.file = command.NewAppender(path, logWait)
	}
	return l
}

// Close waits for the file to have what was logged, a tenth of a second at most.
func (l *Logger) Close() {
	if l.file != nil {
		l.file.Close()
	}
}

// The severities of syslog (RFC 5424, 6.2.1) that resource-agents uses.
const (
	severityErr     = 3
	severityWarning = 4
	severityInfo    = 6
	severityDebug   = 7
)

// Errorf logs what made an action fail.
func (l *Logger) Errorf(format string, args ...any) { l.write(severityErr, "ERROR", format, args) }

// Warnf logs what an administrator should look at.
func (l *Logger) Warnf(format string, args ...any) {
	l.write(severityWarning, "WARNING", format, args)
}

// Infof logs a step of an action.
func (l *Logger) Infof(format string, args ...any) { l.write(severityInfo, "INFO", format, args) }

// Debugf logs detail for HA_debug=1.
func (l *Logger) Debugf(format string, args ...any) {
	if l.debug {
		l.write(severityDebug, "DEBUG", format, args)
	}
}

// ExitReason tells Pacemaker, and so crm_mon, why the action failed, and logs it as
// an error. Pacemaker takes the last such line, to its end.
func (l *Logger) ExitReason(reason string) {
	reason = oneLine(reason)
	l.Errorf("%s", reason)
	fmt.Fprintln(l.stderr, reasonPrefix+reason)
}

func (l *Logger) write(severity int, level, format string, args []any) {
	text := level + ": " + oneLine(fmt.Sprintf(format, args...))
	if l.terminal {
		fmt.Fprintln(l.stderr, text)
		return
	}
	if l.facility < 0 && l.file == nil {
		fmt.Fprintf(l.stderr, "%s: %s\n", l.tag, text)
		return
	}
	if l.facility >= 0 {
		l.toSyslog(severity, text)
	}
	if l.file != nil {
		err := l.file.Write(fmt.Sprintf("%s:\t%s %s\n", l.tag, time.Now().Format("Jan 02 15:04:05"), text))
		if err != nil && l.facility < 0 {
			fmt.Fprintf(l.stderr, "%s: %s\n", l.tag, text)
		}
	}
}

func (l *Logger) toSyslog(severity int, text string) {
	conn, err := net.DialTimeout("unixgram", "/dev/log", logWait)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(logWait))
	stamp := time.Now().Format(time.Stamp)
	fmt.Fprintf(conn, "<%d>%s %s: %s", l.facility<<3|severity, stamp, l.tag, text)
}

// The numbers of RFC 5424, 6.2.1.
func syslogFacility(name string) int {
	names := []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp",
		"cron", "authpriv", "ftp"}
	for i, known := range names {
		if name == known {
			return i
		}
	}
	if n, ok := strings.CutPrefix(name, "local"); ok && len(n) == 1 && n[0] >= '0' && n[0] <= '7' {
		return 16 + int(n[0]-'0')
	}
	return -1
}

// oneLine makes text from anywhere fit for a line of a log, for a terminal and for the
// cluster's XML: a line end becomes a semicolon, and what cannot be printed, or is no
// UTF-8, a question mark. PostgreSQL's messages are its owner's, who could otherwise
// write to root's terminal.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(lines, "; "))
}

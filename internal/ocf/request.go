package ocf

import (
	"strconv"
	"strings"
	"time"
)

// Request is one action that Pacemaker, or a person, asks for, with all that the
// environment says of it. Reading it never fails: what is wrong with a value shows
// where the value is used, so that a bad parameter cannot make a stop fail.
type Request struct {
	Action   string
	Instance string // OCF_RESOURCE_INSTANCE, the primitive's name
	Role     string // of a recurring monitor, as the administrator spelled it
	Interval time.Duration
	Timeout  time.Duration // of this action; DefaultTimeout when not given
	Started  time.Time     // when its process began
	Deadline time.Time     // when the agent must have answered

	Notify Notification

	node string
	get  func(string) (string, bool)
}

// DefaultTimeout is what Pacemaker gives an operation without a timeout
// (default-action-timeout, 20 s).
const DefaultTimeout = 20 * time.Second

// Margin is the part of the timeout the agent leaves unused: at its end Pacemaker
// sends SIGKILL, and a killed action has no exit reason.
const Margin = 0.1

// ParseRequest reads args, the arguments without the program's name, and environ in
// the form of os.Environ. Action is empty when there is no argument; further ones
// are ignored, as the API asks. started is when the process began.
func ParseRequest(args, environ []string, started time.Time) Request {
	env := environment(environ)
	r := Request{get: func(name string) (string, bool) {
		v, ok := env["OCF_RESKEY_"+name]
		return v, ok
	}}
	if len(args) > 0 {
		r.Action = args[0]
	}
	r.node, _ = r.get("CRM_meta_on_node")
	r.Instance = instanceName(env["OCF_RESOURCE_INSTANCE"], r.node == "")
	r.Role, _ = r.get("CRM_meta_role")
	r.Interval = r.milliseconds("CRM_meta_interval")
	r.Timeout = r.milliseconds("CRM_meta_timeout")
	if r.Timeout <= 0 {
		r.Timeout = DefaultTimeout
	}
	r.Started = started
	r.Deadline = started.Add(r.Timeout - time.Duration(Margin*float64(r.Timeout)))
	r.Notify = parseNotification(r.get)
	return r
}

// Overdue is when an action that has not come back is given up: when three quarters of
// the time between deadline and timeout are over. A timeout below the five seconds that
// are suggested at least leaves too little for what comes after the deadline on a busy
// machine, so that it gets a second there, although Pacemaker's kill may be sooner.
func (r Request) Overdue() time.Time {
	if r.Timeout < 5*time.Second {
		return r.Deadline.Add(time.Second)
	}
	return r.Deadline.Add(time.Duration(Margin * 3 / 4 * float64(r.Timeout)))
}

// Began moves the deadline of an action that had its first line late. What is left until
// Pacemaker's kill may be too little to do anything in, and most actions need little; so
// it has half of its time at least.
func (r *Request) Began(now time.Time) {
	half := time.Duration(float64(r.Timeout) * (1 - Margin) / 2)
	if least := now.Add(half); r.Deadline.Before(least) {
		r.Deadline = least
	}
}

// Param is the value of an instance parameter. A parameter that is set to nothing
// counts as not set, as it does in the shell agents.
func (r Request) Param(name string) (string, bool) {
	v, ok := r.get(name)
	return v, ok && v != ""
}

// Meta is the value of a meta attribute, such as "notify" or "clone_node_max".
func (r Request) Meta(name string) (string, bool) { return r.get("CRM_meta_" + name) }

// FeatureSet is the version of the cluster's feature set, such as 3.16.1.
func (r Request) FeatureSet() string {
	v, _ := r.get("crm_feature_set")
	return v
}

// Node is the cluster's name of this node, empty when Pacemaker did not say it, as
// under crm_resource --force-check. It is never the host name: they may differ.
func (r Request) Node() string { return r.node }

// Probe says whether this monitor asks whether the resource runs here at all.
func (r Request) Probe() bool { return r.Action == "monitor" && r.Interval == 0 }

// Recurring says whether this is one of Pacemaker's recurring monitors.
func (r Request) Recurring() bool { return r.Action == "monitor" && r.Interval > 0 && r.node != "" }

// RolePromoted says that this is Pacemaker's recurring monitor of an instance that it
// has promoted. The role is spelled as the administrator did, Master being the word
// until Pacemaker 2.1.
func (r Request) RolePromoted() bool {
	return r.Recurring() && (strings.EqualFold(r.Role, "Promoted") || strings.EqualFold(r.Role, "Master"))
}

// milliseconds is 0 for what is absent or no such number.
func (r Request) milliseconds(name string) time.Duration {
	v, ok := r.get(name)
	ms, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if !ok || err != nil || ms < 0 || ms > int64(1<<62/time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// instanceName is the name under which scores and attributes are kept, the
// primitive's. A person may give the clone's name to crm_resource --force-*, which
// then stands here with "-clone" behind it; the cluster itself never does that.
func instanceName(value string, byHand bool) string {
	if i := strings.LastIndexByte(value, ':'); i >= 0 && isNumber(value[i+1:]) {
		value = value[:i]
	}
	if byHand {
		value = strings.TrimSuffix(value, "-clone")
	}
	if value == "" {
		return "default"
	}
	return value
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// IsTrue reads a boolean as Pacemaker does (crm_is_true).
func IsTrue(value string) bool {
	switch strings.ToLower(value) {
	case "true", "on", "yes", "y", "1":
		return true
	}
	return false
}

// IsFalse is IsTrue for the opposite; neither is so of what is no boolean.
func IsFalse(value string) bool {
	switch strings.ToLower(value) {
	case "false", "off", "no", "n", "0":
		return true
	}
	return false
}

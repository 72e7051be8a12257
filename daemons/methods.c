/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of the control socket which all daemons have. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "internal.h"
#include "util.h"

/*
 * help, version, config
 */

static struct json_object *method_params(const struct control_method *method)
{
	struct json_object *params, *item;

	if (!method->item)
		return config_describe(method->params);
	params = config_describe(method->item->keys);
	item = json_object_new_object();
	json_add(item, "type", json_object_new_string("text"));
	json_add(item, "help", json_object_new_string(method->item->arg));
	json_add(params, method->item->name, item);
	return params;
}

static void method_help_table(struct json_object *result, const struct control_method *method)
{
	struct json_object *about;

	for (; method && method->name; method++) {
		about = json_object_new_object();
		json_add(about, "help", json_object_new_string(method->help));
		json_add(about, "params", method_params(method));
		json_add(result, method->name, about);
	}
}

static void method_help(struct control_call *call, const void *values)
{
	struct json_object *result = json_object_new_object();

	(void)values;
	method_help_table(result, control_methods);
	if (control_run(call)->daemon->pauses)
		method_help_table(result, limits_methods);
	method_help_table(result, control_run(call)->daemon->methods);
	control_reply(call, result);
}

static void method_version(struct control_call *call, const void *values)
{
	struct json_object *result = json_object_new_object();

	(void)values;
	json_add(result, "name", json_object_new_string(control_run(call)->daemon->name));
	json_add(result, "version", json_object_new_string(PACKAGE_VERSION));
	json_add(result, "library", json_object_new_string(vhost_version()));
	control_reply(call, result);
}

static void method_config(struct control_call *call, const void *values)
{
	(void)values;
	control_reply(call, daemon_config(control_run(call)));
}

/*
 * status
 */

static void method_status_front_end(const struct daemon_run *run, struct json_object *result)
{
	char features[24];

	json_add(result, "connected", json_object_new_boolean(run->connected));
	if (!run->connected)
		return;
	snprintf(features, sizeof(features), "0x%llx",
		 (unsigned long long)vhost_dev_features(run->dev));
	json_add(result, "connected-for", json_object_new_int64(time(NULL) - run->connected_at));
	json_add(result, "features", json_object_new_string(features));
}

static void method_status(struct control_call *call, const void *values)
{
	struct daemon_run *run = control_run(call);
	struct json_object *result = json_object_new_object();
	char text[DAEMON_STATUS_SIZE];

	(void)values;
	daemon_status(run, text, sizeof(text));
	json_add(result, "name", json_object_new_string(run->daemon->name));
	json_add(result, "pid", json_object_new_int(getpid()));
	json_add(result, "status", json_text(text));
	json_add(result, "running-for", json_object_new_int64(time(NULL) - run->started_at));
	json_add(result, "stopping", json_object_new_boolean(run->stopping));
	if (run->limits)
		json_add(result, "quiesced", json_object_new_boolean(limits_paused(run)));
	method_status_front_end(run, result);
	json_add(result, "queues", json_object_new_int((int)stats_queues(run)));
	json_add(result, "threads", json_object_new_int((int)run->num_workers));
	if (run->daemon->status)
		run->daemon->status(run, result);
	control_reply(call, result);
}

/*
 * stats, stats-reset
 */

static void method_stats_done(struct daemon_run *run, void *arg)
{
	control_reply(arg, stats_json(run));
}

static void method_metrics_done(struct daemon_run *run, void *arg)
{
	size_t len = 0;
	char *text = metrics_text(run, &len);

	if (text)
		control_reply(arg, json_object_new_string_len(text, (int)len));
	else
		control_fail(arg, "out of memory");
	free(text);
}

static void method_reset_done(struct daemon_run *run, void *arg)
{
	stats_reset(run);
	control_reply(arg, NULL);
}

static void method_ask_stats(struct control_call *call,
			     void (*done)(struct daemon_run *run, void *arg))
{
	if (stats_ask(control_run(call), done, call))
		control_fail(call, "out of memory");
}

static void method_stats(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_stats_done);
}

static void method_metrics(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_metrics_done);
}

static void method_stats_reset(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_reset_done);
}

/*
 * log-level, quit
 */

struct level_params {
	unsigned int level;		/* place in daemon_log_levels */
};

static const struct option_def level_params[] = {
	{ "level", OPTION_CHOICE, offsetof(struct level_params, level),
	  .choices = daemon_log_levels, .help = "what to say from now on" },
	{ 0 }
};

static void method_log_level(struct control_call *call, const void *values)
{
	const struct level_params *params = values;
	struct daemon_run *run = control_run(call);
	struct json_object *result;

	if (control_given(call, "level"))
		daemon_set_level(run, params->level);
	result = json_object_new_object();
	json_add(result, "level",
		 json_object_new_string(daemon_log_levels[run->conf.log_level]));
	control_reply(call, result);
}

static void method_quit(struct control_call *call, const void *values)
{
	struct daemon_run *run = control_run(call);

	(void)values;
	daemon_log(VHOST_LOG_INFO, "asked to quit");
	control_reply(call, NULL);
	daemon_stop(run);
}

const struct control_method control_methods[] = {
	{ "help", "what there is to ask for", .fn = method_help },
	{ "version", "which program this is", .fn = method_version },
	{ "status", "what it does at the moment", .fn = method_status },
	{ "stats", "counters of the device and of each queue", .fn = method_stats },
	{ "stats-reset", "let the counters of stats begin at zero", .fn = method_stats_reset },
	{ "metrics", "the counters as OpenMetrics text", .fn = method_metrics },
	{ "config", "the options which have been set", .fn = method_config },
	{ "log-level", "what is said on stderr, or what is to be", level_params,
	  sizeof(struct level_params), .fn = method_log_level },
	{ "quit", "drain, and end the process", .fn = method_quit },
	{ 0 }
};

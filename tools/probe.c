/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-probe: what can this vhost-user back-end do, and does it behave? */
#include "config.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tools/probe.h"
#include "tools/tool.h"
#include "util.h"

/* What is asked for on the command line. */
struct options {
	const char *type;		/* NULL: to be guessed */
	bool conformance, json;
	unsigned int timeout_ms;
};

#define FIELD(field) .offset = offsetof(struct options, field)

static const struct option_def defs[] = {
	{ "type", OPTION_TEXT, FIELD(type), .arg = "TYPE",
	  .help = "device type: net, blk, scsi, rng ... (default: it is guessed)" },
	{ "conformance", OPTION_FLAG, FIELD(conformance),
	  .help = "try whether the back-end keeps the rules of the protocol" },
	{ "json", OPTION_FLAG, FIELD(json), .help = "print a JSON object" },
	{ "timeout-ms", OPTION_NUMBER, FIELD(timeout_ms), .arg = "N", .min = 10, .max = 600000,
	  .help = "how long to wait for each answer (default 5000)" },
	TOOL_OPTIONS,
	{ NULL }
};

#undef FIELD

static void help(void)
{
	printf("usage: vhost-probe [OPTION...] SOCKET\n\n"
	       "Tell what the vhost-user back-end which listens on SOCKET can do.\n\n");
	options_help(defs, stdout);
	printf("\nSee vhost-probe(1).\n");
}

/* Where rows go. */
struct report {
	const struct probe *probe;
	struct json_object *rows;	/* NULL: standard output */
	char why[LOAD_WHY_SIZE];	/* what was printed last */
};

static void report_row(void *arg, const struct row *row, enum row_result result, const char *why)
{
	struct report *r = arg;
	struct json_object *o;

	if (!r->rows) {
		printf("%-12s %s\n", row_result_name(result), row->name);
		/* Many rows may not be run for the same reason. */
		if (*why && strcmp(why, r->why))
			printf("%-12s   %s\n", "", why);
		snprintf(r->why, sizeof(r->why), "%s", why);
		fflush(stdout);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(row->name));
	json_object_object_add(o, "result", json_object_new_string(row_result_name(result)));
	if (*why)
		json_object_object_add(o, "why", json_object_new_string(why));
	json_object_array_add(r->rows, o);
}

static int conform(const struct probe *p, struct json_object *json)
{
	struct report r = { .probe = p, .rows = json ? json_object_new_array() : NULL };
	struct row_count count;

	if (!json)
		printf("\n");
	count = rows_run(p, report_row, &r);
	if (json)
		json_object_object_add(json, "conformance", r.rows);
	else
		printf("\n%u passed, %u failed, %u not offered, %u not run\n",
		       count.num[ROW_PASS], count.num[ROW_FAIL], count.num[ROW_NOT_OFFERED],
		       count.num[ROW_NOT_RUN]);
	return count.num[ROW_FAIL] ? TOOL_FAILED : TOOL_OK;
}

static int probe(struct probe *p, const struct options *o)
{
	struct json_object *json = NULL;
	char why[LOAD_WHY_SIZE];
	int status = TOOL_OK;

	if (probe_offer(p, why)) {
		tool_err("%s: %s", p->path, why);
		return TOOL_BROKEN;
	}
	probe_messages(p);
	if (o->json)
		json = probe_json(p);
	else
		probe_print(p);
	if (p->facts.silent) {
		tool_err("%s: the back-end does not answer any more", p->path);
		status = TOOL_BROKEN;
	} else if (o->conformance) {
		status = conform(p, json);
	}
	if (json)
		printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(json);
	return tool_end(status);
}

int main(int argc, char **argv)
{
	struct options o = { .timeout_ms = 5000 };
	struct option_table table = { .defs = defs, .values = &o };
	const char *path;
	struct option_operands operands = { .values = &path, .max = 1 };
	struct probe p = { 0 };
	int status;

	tool_begin("vhost-probe");
	signal(SIGPIPE, SIG_IGN);
	if (tool_act(argc, argv, help, &status))
		return status;
	if (options_parse_operands(&table, 1, argc, argv, &operands))
		return TOOL_USAGE;
	if (!operands.num) {
		tool_err("the socket is missing; see --help");
		return TOOL_USAGE;
	}
	p = (struct probe){ .path = path, .timeout_ms = (int)o.timeout_ms };
	p.facts.type = o.type ? name_find_type(o.type) : NULL;
	if (o.type && !p.facts.type) {
		tool_err("--type=%s: not a device type which vhost-probe knows", o.type);
		return TOOL_USAGE;
	}
	return probe(&p, &o);
}

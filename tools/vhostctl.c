/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhostctl: ask a daemon what it does, and tell it what to do, at its control socket.
 *
 * Values on the command line have no types, so "help" is asked first for what the method wants.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define PATH_SIZE 512
#define SUFFIX ".control"
#define FOLDER "/run/vhost-user"

struct ctl {
	const char *folder;		/* where sockets are looked for */
	bool json;			/* print answers as they are */
	bool watch;
	double seconds;			/* between two looks */
	long count;			/* of looks; 0: no end */
	int timeout_ms;
	int pass_fd;			/* -1: none */
	const char *device;		/* which the method is about; NULL: goes without saying */
};

static const struct option options[] = {
	{ "dir", required_argument, NULL, 'd' },
	{ "device", required_argument, NULL, 'D' },
	{ "json", no_argument, NULL, 'j' },
	{ "watch", optional_argument, NULL, 'w' },
	{ "count", required_argument, NULL, 'n' },
	{ "timeout", required_argument, NULL, 't' },
	{ "fd", required_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 }
};

static void print_help(void)
{
	printf("usage: vhostctl [OPTION]... list\n"
	       "       vhostctl [OPTION]... SOCKET METHOD [KEY=VALUE]...\n\n"
	       "Look after vhost-user-blk, vhost-user-net and vhost-user-scsi while they run.\n"
	       "SOCKET is a path, or the NAME of " FOLDER "/NAME" SUFFIX ".\n\n"
	       "  --dir=PATH           look for sockets there instead of in " FOLDER "\n"
	       "  --device=NAME        the device which is meant, of several\n"
	       "  --json               print the answer as it is\n"
	       "  --watch[=SECONDS]    stats: again and again, what is done per second\n"
	       "  --count=N            with --watch, N times\n"
	       "  --timeout=SECONDS    wait so long for an answer (default 30)\n"
	       "  --fd=N               send this file descriptor along\n"
	       "  --help               print this help, and exit\n"
	       "  --version            print the version, and exit\n\n"
	       "\"vhostctl SOCKET help\" tells the methods.  See vhostctl(1).\n");
}

/* A number of at least min, as a whole; false: it is none. */
static bool parse_number(const char *text, double min, double max, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && !*end && *value >= min && *value <= max;
}

static bool parse_option(struct ctl *ctl, int option, const char *arg)
{
	double value = 0;

	switch (option) {
	case 'd':
		ctl->folder = arg;
		return true;
	case 'D':
		ctl->device = arg;
		return *arg;
	case 'j':
		ctl->json = true;
		return true;
	case 'w':
		ctl->watch = true;
		return !arg || parse_number(arg, 0.01, 1e6, &ctl->seconds);
	case 'n':
		if (!parse_number(arg, 1, 1e9, &value))
			return false;
		ctl->count = (long)value;
		return true;
	case 't':
		if (!parse_number(arg, 0.001, 1e6, &value))
			return false;
		ctl->timeout_ms = (int)(value * 1000);
		return true;
	case 'f':
		if (!parse_number(arg, 0, 1e9, &value))
			return false;
		ctl->pass_fd = (int)value;
		return true;
	default:
		return false;
	}
}

/*
 * list
 */

static void list_one(const struct ctl *ctl, const char *path)
{
	const char *name = path + strlen(ctl->folder) + 1;
	int len = (int)(strlen(name) - strlen(SUFFIX));
	struct json_object *result = NULL, *value;
	struct ctl_conn conn;
	int ret = ctl_connect(&conn, path, ctl->timeout_ms);

	if (ret) {
		printf("%-24.*s %8s  %s\n", len, name, "-", strerror(-ret));
		return;
	}
	if (ctl_call(&conn, "status", NULL, &result) != CTL_OK)
		printf("%-24.*s %8s  %s\n", len, name, "-", json_object_get_string(result));
	else if (json_object_object_get_ex(result, "pid", &value))
		printf("%-24.*s %8s  %s\n", len, name, json_object_get_string(value),
		       json_object_get_string(json_object_object_get(result, "status")));
	json_object_put(result);
	ctl_close(&conn);
}

static int list(const struct ctl *ctl)
{
	static const char *const depths[] = { "", "/*" };
	char pattern[PATH_SIZE];
	unsigned int depth;
	glob_t found;
	size_t i;

	for (depth = 0; depth < 2; depth++) {
		snprintf(pattern, sizeof(pattern), "%s%s/*" SUFFIX, ctl->folder, depths[depth]);
		if (!glob(pattern, 0, NULL, &found))
			for (i = 0; i < found.gl_pathc; i++)
				list_one(ctl, found.gl_pathv[i]);
		globfree(&found);
	}
	return CTL_OK;
}

/*
 * Methods
 */

/* What the value on the command line is to be, by what "help" says about the parameter. */
static struct json_object *typed_value(struct json_object *about, const char *text)
{
	struct json_object *type;
	const char *name = "";
	long long n;
	char *end;

	if (json_object_object_get_ex(about, "type", &type))
		name = json_object_get_string(type);
	if (!strcmp(name, "flag") && (!strcmp(text, "true") || !strcmp(text, "false")))
		return json_object_new_boolean(!strcmp(text, "true"));
	if (!strcmp(name, "number")) {
		n = strtoll(text, &end, 10);
		if (end != text && !*end)
			return json_object_new_int64(n);
	}
	return json_object_new_string(text);
}

/* The parameters of this method, of what "help" says; NULL: none. */
static struct json_object *known_params(struct json_object *help, const char *method)
{
	struct json_object *about, *params;

	if (!json_object_object_get_ex(help, method, &about) ||
	    !json_object_object_get_ex(about, "params", &params))
		return NULL;
	return params;
}

/* KEY=VALUE, or KEY for a flag, into params. */
static int add_param(struct json_object *params, struct json_object *known, char *arg)
{
	char *value = strchr(arg, '=');
	struct json_object *about = NULL;

	if (value)
		*value++ = '\0';
	if (json_object_object_get_ex(params, arg, NULL)) {
		ctl_err("%s: given more than once", arg);
		return CTL_USAGE;
	}
	json_object_object_get_ex(known, arg, &about);
	json_add(params, arg, typed_value(about, value ? value : "true"));
	return CTL_OK;
}

/* The device which is meant, as the beginning of parameters; NULL: none is named. */
static struct json_object *device_params(const struct ctl *ctl)
{
	struct json_object *params;

	if (!ctl->device)
		return NULL;
	params = json_object_new_object();
	json_add(params, "device", json_text(ctl->device));
	return params;
}

static int make_params(struct ctl_conn *conn, const char *method, char **args,
		       struct json_object **params)
{
	struct json_object *help = NULL, *known;
	int ret;

	if (!*args)
		return CTL_OK;
	ret = ctl_call(conn, "help", NULL, &help);
	if (ret) {
		ctl_err("help: %s", json_object_get_string(help));
		json_object_put(help);
		return ret;
	}
	known = known_params(help, method);
	if (!*params)
		*params = json_object_new_object();
	for (; !ret && *args; args++)
		ret = add_param(*params, known, *args);
	json_object_put(help);
	return ret;
}

static void print_result(const struct ctl *ctl, const char *method, struct json_object *result)
{
	if (ctl->json)
		printf("%s\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
	else if (!strcmp(method, "help"))
		ctl_print_help(result);
	else if (!strcmp(method, "stats"))
		ctl_print_stats(result, NULL, 0);
	else
		ctl_print(result);
}

static int call(struct ctl_conn *conn, const char *method, struct json_object *params,
		struct json_object **result)
{
	int ret = ctl_call(conn, method, params, result);

	if (ret) {
		ctl_err("%s: %s", method, json_object_get_string(*result));
		json_object_put(*result);
		*result = NULL;
	}
	return ret;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int watch(const struct ctl *ctl, struct ctl_conn *conn)
{
	const struct timespec pause = {
		(time_t)ctl->seconds, (long)((ctl->seconds - (double)(time_t)ctl->seconds) * 1e9),
	};
	struct json_object *last = NULL, *result;
	double since = 0, at;
	long looks = 0;
	int ret;

	for (;;) {
		ret = call(conn, "stats", device_params(ctl), &result);
		at = now();
		if (ret)
			break;
		/* A terminal shows one table, all else one after the other. */
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		ctl_print_stats(result, last, at - since);
		fflush(stdout);
		json_object_put(last);
		last = result;
		since = at;
		if ((ctl->count && ++looks == ctl->count) || ferror(stdout))
			break;
		nanosleep(&pause, NULL);
	}
	json_object_put(last);
	return ret;
}

static int run_method(const struct ctl *ctl, struct ctl_conn *conn, const char *method,
		      char **args)
{
	struct json_object *params, *result = NULL;
	int ret;

	if (ctl->watch)
		return watch(ctl, conn);
	params = device_params(ctl);
	ret = make_params(conn, method, args, &params);
	if (ret) {
		json_object_put(params);
		return ret;
	}
	conn->pass_fd = ctl->pass_fd;
	ret = call(conn, method, params, &result);
	if (!ret)
		print_result(ctl, method, result);
	json_object_put(result);
	return ret;
}

/* The path which the name means: itself, if something is there or it looks like one. */
static const char *find_socket(const struct ctl *ctl, const char *name, char path[PATH_SIZE])
{
	struct stat st;

	if (*name == '/' || *name == '.' || !stat(name, &st))
		return name;
	snprintf(path, PATH_SIZE, "%s/%s" SUFFIX, ctl->folder, name);
	return path;
}

static int run(const struct ctl *ctl, char **args)
{
	char buf[PATH_SIZE];
	const char *path = find_socket(ctl, args[0], buf);
	struct ctl_conn conn;
	int ret = ctl_connect(&conn, path, ctl->timeout_ms);

	if (ret) {
		ctl_err("%s: %s", path, strerror(-ret));
		return CTL_BROKEN;
	}
	ret = run_method(ctl, &conn, args[1], args + 2);
	ctl_close(&conn);
	return ret;
}

static int usage(const char *why)
{
	ctl_err("%s; see --help", why);
	return CTL_USAGE;
}

static int ctl_main(struct ctl *ctl, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			return CTL_OK;
		}
		if (option == 'v') {
			printf("vhostctl %s\n", PACKAGE_VERSION);
			return CTL_OK;
		}
		if (option == '?')
			return CTL_USAGE;
		if (!parse_option(ctl, option, optarg))
			return usage("an option has no good value");
	}
	if (argc - optind == 1 && !strcmp(argv[optind], "list"))
		return list(ctl);
	if (argc - optind < 2)
		return usage("a socket and a method are needed, or list");
	if (ctl->watch && (strcmp(argv[optind + 1], "stats") || argc - optind > 2))
		return usage("--watch is for stats");
	return run(ctl, argv + optind);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .folder = FOLDER, .seconds = 1, .timeout_ms = 30000, .pass_fd = -1 };
	int status = ctl_main(&ctl, argc, argv);

	if (fflush(stdout) && status == CTL_OK) {
		ctl_err("%s", strerror(errno));
		status = CTL_FAILED;
	}
	return status;
}

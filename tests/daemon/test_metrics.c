/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metrics socket: what it says is OpenMetrics by the letter, counters count and never go back, and
 * clients who behave badly are nobody else's matter, while a disk is written to and verified.
 *
 * The parser takes what the specification allows of what we use, and nothing else.
 */
#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/daemon/disk_daemon.h"
#include "tests/tap.h"

#define FAMILIES_MAX 100
#define SAMPLES_MAX 4000

/*
 * The parser
 */

struct family {
	char name[64], type[16], unit[16];
	bool help;
	unsigned int samples;
};

/* Its name, labels included, is what makes it one. */
struct sample {
	char name[200];
	double value;
	bool counter;
};

struct scrape {
	struct family families[FAMILIES_MAX];
	unsigned int nfamilies;
	struct sample samples[SAMPLES_MAX];
	unsigned int nsamples;
	/* of the histogram which is being read */
	double bucket_end, bucket_count, bucket_inf;
};

static struct scrape scrapes[2];

/* A name at *p, which moves behind it. */
static void take_name(const char **p, char *name, size_t size)
{
	size_t len = strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

	ck_assert_msg(len && len < size && !isdigit((unsigned char)**p), "no name: %s", *p);
	snprintf(name, size, "%.*s", (int)len, *p);
	*p += len;
}

static void take_char(const char **p, char c, const char *line)
{
	ck_assert_msg(**p == c, "no '%c' at \"%s\": %s", c, *p, line);
	++*p;
}

/* # TYPE, # HELP, # UNIT: in this order of families, each once, before the samples. */
static void take_comment(struct scrape *s, const char *line)
{
	struct family *f = s->nfamilies ? &s->families[s->nfamilies - 1] : NULL;
	char word[8], name[64];
	const char *p = line + 2;
	unsigned int i;

	take_name(&p, word, sizeof(word));
	take_char(&p, ' ', line);
	take_name(&p, name, sizeof(name));
	take_char(&p, ' ', line);
	if (!strcmp(word, "TYPE")) {
		for (i = 0; i < s->nfamilies; i++)
			ck_assert_msg(strcmp(s->families[i].name, name), "twice: %s", line);
		ck_assert_uint_lt(s->nfamilies, FAMILIES_MAX);
		f = &s->families[s->nfamilies++];
		snprintf(f->name, sizeof(f->name), "%s", name);
		take_name(&p, f->type, sizeof(f->type));
		ck_assert_msg(!*p && strstr("counter gauge histogram info", f->type), "%s", line);
		return;
	}
	ck_assert_msg(f && !strcmp(f->name, name) && !f->samples, "out of place: %s", line);
	if (!strcmp(word, "UNIT")) {
		ck_assert(!*f->unit);
		take_name(&p, f->unit, sizeof(f->unit));
		ck_assert_msg(!*p && strlen(name) > strlen(f->unit) + 1 &&
			      !strcmp(name + strlen(name) - strlen(f->unit), f->unit), "%s", line);
		return;
	}
	ck_assert_msg(!strcmp(word, "HELP") && !f->help && *p, "%s", line);
	f->help = true;
	for (; *p; p++)
		ck_assert_msg(*p != '"' && (*p != '\\' || *++p == 'n' || *p == '\\'), "%s", line);
}

/* What may follow the family's name in a sample of this type. */
static const char *const suffixes[][4] = {
	{ "counter", "_total" }, { "gauge", "" }, { "info", "_info" },
	{ "histogram", "_bucket", "_count", "_sum" },
};

static const char *find_suffix(const struct family *f, const char *name)
{
	const char *suffix = name + strlen(f->name);
	unsigned int i, n;

	ck_assert_msg(!strncmp(name, f->name, strlen(f->name)), "%s in %s", name, f->name);
	for (i = 0; i < 4; i++)
		for (n = 1; !strcmp(suffixes[i][0], f->type) && n < 4 && suffixes[i][n]; n++)
			if (!strcmp(suffix, suffixes[i][n]))
				return suffix;
	ck_abort_msg("%s is no sample of a %s", name, f->type);
}

/* { NAME="VALUE",... }; the value of le, if there is one. */
static void take_labels(const char **p, const char *line, char le[32])
{
	char name[32], seen[128] = ",", want[40];
	size_t n;

	take_char(p, '{', line);
	do {
		take_name(p, name, sizeof(name));
		snprintf(want, sizeof(want), ",%s,", name);
		ck_assert_msg(!strstr(seen, want), "%s twice: %s", name, line);
		strncat(seen, want + 1, sizeof(seen) - strlen(seen) - 1);
		take_char(p, '=', line);
		take_char(p, '"', line);
		for (n = 0; **p && **p != '"'; ++*p, n++) {
			if (**p == '\\')
				ck_assert_msg(*++*p && strchr("\\\"n", **p), "quoting: %s", line);
			if (!strcmp(name, "le") && n < 31)
				le[n] = **p, le[n + 1] = '\0';
		}
		take_char(p, '"', line);
	} while (**p == ',' && ++*p);
	take_char(p, '}', line);
}

/* Buckets are in order and contain each other; the count is that of the last one. */
static void check_histogram(struct scrape *s, const char *suffix, const char *le, double value,
			    const char *line)
{
	double end;
	char *rest;

	if (!strcmp(suffix, "_bucket")) {
		ck_assert_msg(*le, "no le: %s", line);
		end = strtod(le, &rest);
		ck_assert_msg(!*rest && end > s->bucket_end && value >= s->bucket_count, "%s", line);
		s->bucket_end = end;
		s->bucket_count = value;
		s->bucket_inf = strcmp(le, "+Inf") ? -1 : value;
		return;
	}
	ck_assert_msg(!*le, "%s", line);
	if (!strcmp(suffix, "_count"))
		ck_assert_msg(value == s->bucket_inf, "%s", line);
	s->bucket_end = s->bucket_count = 0;
}

static void take_sample(struct scrape *s, const char *line)
{
	struct family *f = &s->families[s->nfamilies - 1];
	struct sample *new = &s->samples[s->nsamples];
	char name[80], le[32] = "", *rest;
	const char *p = line, *suffix;
	unsigned int i;

	ck_assert_msg(s->nfamilies, "before its family: %s", line);
	take_name(&p, name, sizeof(name));
	suffix = find_suffix(f, name);
	if (*p == '{')
		take_labels(&p, line, le);
	ck_assert_uint_lt(s->nsamples, SAMPLES_MAX);
	snprintf(new->name, sizeof(new->name), "%.*s", (int)(p - line), line);
	take_char(&p, ' ', line);
	new->value = strtod(p, &rest);
	ck_assert_msg(rest != p && !*rest && new->value >= 0, "value: %s", line);
	new->counter = !strcmp(f->type, "counter") || !strcmp(f->type, "histogram");
	if (!strcmp(f->type, "histogram"))
		check_histogram(s, suffix, le, new->value, line);
	else
		ck_assert_msg(!*le, "%s", line);
	for (i = 0; i < s->nsamples; i++)
		ck_assert_msg(strcmp(s->samples[i].name, new->name), "twice: %s", line);
	f->samples++;
	s->nsamples++;
}

/* The whole text; its end is its last line. */
static void parse(struct scrape *s, char *text)
{
	char *line, *end;

	memset(s, 0, sizeof(*s));
	for (line = text; strcmp(line, "# EOF\n"); line = end + 1) {
		end = strchr(line, '\n');
		ck_assert_msg(end && end > line, "no line: %s", line);
		*end = '\0';
		if (*line == '#')
			take_comment(s, line);
		else
			take_sample(s, line);
	}
	ck_assert_uint_gt(s->nsamples, 10);
}

static double value_of(const struct scrape *s, const char *name)
{
	unsigned int i;

	for (i = 0; i < s->nsamples; i++)
		if (!strcmp(s->samples[i].name, name))
			return s->samples[i].value;
	ck_abort_msg("there is no %s", name);
}

/*
 * Clients
 */

#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"

/* All that comes until the end, into answer. */
static size_t hear_all(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
		len += (size_t)n;
	ck_assert(!n);
	answer[len] = '\0';
	return len;
}

/* By HTTP, with a header which is right. */
static void scrape_http(struct scrape *s)
{
	int fd = client(test.metrics);
	char *body, *length;
	size_t len;

	say(fd, GET, strlen(GET));
	len = hear_all(fd);
	close(fd);
	ck_assert(!strncmp(answer, "HTTP/1.0 200 OK\r\n", 17));
	ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Type: application/openmetrics-text; "
				     "version=1.0.0; charset=utf-8\r\n"));
	length = strstr(answer, "\r\nContent-Length: ");
	body = strstr(answer, "\r\n\r\n");
	ck_assert(length && body && length < body);
	body += 4;
	ck_assert_uint_eq(strtoul(length + 18, NULL, 10), len - (size_t)(body - answer));
	parse(s, body);
}

/* By saying nothing. */
static void scrape_plain(struct scrape *s)
{
	int fd = client(test.metrics);

	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	hear_all(fd);
	close(fd);
	parse(s, answer);
}

/* What is counted, and that it does not go back. */
START_TEST(counters)
{
	static const char *const counted[] = {
		"vhost_user_requests_total{queue=\"0\"}", "vhost_user_reads_total{queue=\"0\"}",
		"vhost_user_latency_seconds_count{queue=\"0\"}",
		"vhost_user_latency_seconds_bucket{queue=\"0\",le=\"+Inf\"}",
	};
	const struct scrape *old = &scrapes[0], *new = &scrapes[1];
	unsigned int i;

	disk_up((unsigned int)_i);
	disk_works();
	scrape_http(&scrapes[0]);
	for (i = 0; i < 5; i++)
		disk_works();
	scrape_plain(&scrapes[1]);
	for (i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		ck_assert_msg(value_of(old, counted[i]) == 1, "%s", counted[i]);
		ck_assert_msg(value_of(new, counted[i]) == 6, "%s", counted[i]);
	}
	ck_assert(value_of(new, "vhost_user_read_bytes_total{queue=\"0\"}") == 6 * DATA_SIZE);
	ck_assert(value_of(new, "vhost_user_kicks_total{queue=\"0\"}") > 0);
	ck_assert(value_of(new, "vhost_user_connected") == 1);
	ck_assert(value_of(new, "vhost_user_connections_total") == 1);
	ck_assert(value_of(new, "vhost_user_latency_seconds_sum{queue=\"0\"}") > 0);
	for (i = 0; i < old->nsamples; i++)
		if (old->samples[i].counter)
			ck_assert_msg(value_of(new, old->samples[i].name) >= old->samples[i].value,
				      "%s", old->samples[i].name);
	for (i = 0; i < new->nfamilies; i++)
		ck_assert_msg(new->families[i].help, "%s has no help", new->families[i].name);
	disk_down();
}
END_TEST

static const char *const nonsense[] = {
	"\r\n\r\n", "POST /metrics HTTP/1.1\r\n\r\n", "GET\r\n\r\n", "\xff\xfe\n\n", "{}\n\n",
};

START_TEST(senseless_requests)
{
	unsigned int i;
	int fd;

	disk_up(0);
	for (i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		fd = client(test.metrics);
		say(fd, nonsense[i], strlen(nonsense[i]));
		shutdown(fd, SHUT_WR);
		hear_all(fd);
		ck_assert_msg(!strncmp(answer, "HTTP/1.0 400 ", 13), "%u: %s", i, answer);
		close(fd);
	}
	/* Who goes in the middle, of the request or of the answer. */
	for (i = 1; i < strlen(GET); i++) {
		fd = client(test.metrics);
		say(fd, GET, i);
		close(fd);
	}
	fd = client(test.metrics);
	say(fd, GET, strlen(GET));
	ck_assert_int_eq(recv(fd, answer, 1, 0), 1);
	close(fd);
	scrape_http(&scrapes[0]);
	disk_down();
}
END_TEST

/* Some never read, others never end their request; a thousand come after them. */
START_TEST(many_clients)
{
	struct rlimit limit = { 4096, 4096 };
	int fds[1000], i;

	setrlimit(RLIMIT_NOFILE, &limit);
	disk_up((unsigned int)_i);
	for (i = 0; i < 1000; i++) {
		fds[i] = client(test.metrics);
		if (i % 3)
			say(fds[i], GET, strlen(GET) - (i % 3 == 1));
		if (i % 100 == 99) {
			scrape_http(&scrapes[0]);
			disk_works();
		}
	}
	scrape_plain(&scrapes[1]);
	for (i = 0; i < 1000; i++)
		close(fds[i]);
	scrape_http(&scrapes[1]);
	disk_down();
}
END_TEST

/* A request as long as memory, and headers without end. */
START_TEST(long_requests)
{
	static const char header[] = "X: y\r\n";
	unsigned int i;
	int fd;

	disk_up(0);
	fd = client(test.metrics);
	memset(answer, 'G', sizeof(answer));
	say(fd, answer, sizeof(answer));
	close(fd);
	fd = client(test.metrics);
	say(fd, GET, strlen(GET) - 2);
	for (i = 0; i < 100000; i++)
		say(fd, header, strlen(header));
	say(fd, "\r\n", 2);
	hear_all(fd);
	ck_assert(!strncmp(answer, "HTTP/1.0 200 OK\r\n", 17));
	close(fd);
	scrape_http(&scrapes[0]);
	disk_down();
}
END_TEST

/* What METRICS_TEXT names, of whatever daemon. */
START_TEST(given_text)
{
	FILE *in = fopen(getenv("METRICS_TEXT"), "r");
	size_t len;

	ck_assert_ptr_nonnull(in);
	len = fread(answer, 1, sizeof(answer) - 1, in);
	fclose(in);
	answer[len] = '\0';
	parse(&scrapes[0], answer);
}
END_TEST

static void loaded(void)
{
	test.loaded = true;
}

static Suite *metrics_suite(void)
{
	Suite *s = suite_create("metrics");
	TCase *tc = tcase_create("text");

	suite_add_tcase(s, tc);
	if (getenv("METRICS_TEXT")) {
		tcase_add_test(tc, given_text);
		return s;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, counters, 0, 2);
	tc = tcase_create("abuse");
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, loaded, NULL);
	tcase_add_test(tc, senseless_requests);
	tcase_add_loop_test(tc, many_clients, 0, 2);
	tcase_add_test(tc, long_requests);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(metrics_suite());
}

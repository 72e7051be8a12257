/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options: one table says how each is named, typed, bounded and described.
 *
 * The command line and --help come from the table; whatever else names an
 * option should come from it too.
 */
#ifndef DAEMONS_OPTIONS_H
#define DAEMONS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_object;

/* What an option's value is, and the type of the field which it goes to. */
enum option_type {
	OPTION_TEXT,			/* const char *, which is not empty */
	OPTION_FLAG,			/* bool; no value: true */
	OPTION_NUMBER,			/* unsigned int, or int */
	OPTION_SIZE,			/* uint64_t: bytes; may end with K, M, G or T */
	OPTION_CHOICE,			/* an enum or unsigned int: the word's place in choices */
	OPTION_LIST,			/* struct option_list; the option may be given repeatedly */
	OPTION_ACTION,			/* none: to be looked for with options_asked() */
};

/* The values of an option, in their order; copies, which option_list_free() frees. */
struct option_list {
	char **values;
	unsigned int num;
};

/* One option.  A table of them ends with one without name. */
struct option_def {
	const char *name;		/* without the dashes */
	enum option_type type;
	size_t offset;			/* of the field in the table's values */
	const char *arg;		/* what --help calls the value */
	const char *help;		/* one line */
	uint64_t min, max;		/* number, size: bounds; text: max is its longest, if not 0 */
	const char *limit;		/* number: why no more than max, for the message; or NULL */
	const char *const *choices;	/* words, then NULL */
	const struct option_def *keys;	/* list: what a value consists of, for --help; may be NULL */
};

/* The definitions of a table, and the structure which the values go to. */
struct option_table {
	const struct option_def *defs;	/* at most 64 */
	void *values;			/* set to the defaults by the caller */
	uint64_t given;			/* bit i: defs[i] has been set */
};

/* Where the reason for a refused value goes. */
#define OPTION_WHY_SIZE 128

/*
 * Set the option from value, which is NULL when none came along; the value must live as long
 * as the table's values.  -EINVAL, and the reason in why: the value is no good, or not the
 * option's first.
 */
int option_set(struct option_table *table, const struct option_def *def, const char *value,
	       char why[OPTION_WHY_SIZE]);

/* Append a copy of the value; -ENOMEM. */
int option_list_add(struct option_list *list, const char *value);
/* Put a copy of value in the place of the first which is equal to old; -ENOMEM, -ENOENT. */
int option_list_replace(struct option_list *list, const char *old, const char *value);
/* Take out the first which is equal to value. */
void option_list_remove(struct option_list *list, const char *value);
void option_list_free(struct option_list *list);

/* The table which has the name of this length, and its definition; NULL: none. */
struct option_table *options_find(struct option_table *tables, unsigned int n, const char *name,
				  size_t len, const struct option_def **def);

/*
 * Set options from one text like key=value,flag,key=value, in which a comma that belongs to a
 * value is doubled.  The text is changed, and must live as long as the table's values.
 */
int options_parse_keys(struct option_table *table, char *text, char why[OPTION_WHY_SIZE]);

/* Whether --name stands anywhere on the command line. */
bool options_asked(int argc, char **argv, const char *name);

/*
 * Set options from a command line: --name=value, --name value, --name.  -EINVAL: it is no
 * good, which has been logged.
 */
int options_parse(struct option_table *tables, unsigned int n, int argc, char **argv);

/* Arguments which belong to no option; others are refused. */
struct option_operands {
	const char **values;		/* the caller's, max of them */
	unsigned int num, max;
};

/* The same with operands between the options. */
int options_parse_operands(struct option_table *tables, unsigned int n, int argc, char **argv,
			   struct option_operands *operands);

/* The lines of --help for one table. */
void options_help(const struct option_def *defs, FILE *out);

/*
 * config.c: options as JSON
 *
 * Members of an object have the names of options, and values of their types.
 *
 *   text, choice   a string; a choice of numbers also a number
 *   flag           true or false
 *   number         an integer
 *   size           an integer, or a string with K, M, G or T
 *   list           an array of values; each a string as on the command line, or an object with
 *                  the option's own name for what the value begins with, and with its keys
 */

#define CONFIG_WHY_SIZE 256

/*
 * Set options from all members of obj, which must live as long as the tables' values do.
 * -EINVAL, and key and reason in why.
 */
int config_set(struct option_table *tables, unsigned int n, struct json_object *obj,
	       char why[CONFIG_WHY_SIZE]);

/* One value of a list as the command line has it, to be freed; NULL, and the reason in why. */
char *config_item(const struct option_def *list, struct json_object *value,
		  char why[CONFIG_WHY_SIZE]);

/* The options which have been set, added to obj. */
void config_get(const struct option_table *tables, unsigned int n, struct json_object *obj);

/* What there is to say about the options of one table: type, bounds, choices, help. */
struct json_object *config_describe(const struct option_def *defs);

#endif /* DAEMONS_OPTIONS_H */

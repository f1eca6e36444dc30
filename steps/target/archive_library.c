/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for libarchive as libcurl.c does for libcurl: loaded when it is first used. */
#include <archive.h>
#include <archive_entry.h>

#include <stdarg.h>
#include <stdio.h>

#include "base/library.h"

#define LATE(function) LIBRARY_CALL(LIBARCHIVE, function)
#define TEXT_MAX 1024

void
archive_set_error(struct archive *a, int code, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	LATE(archive_set_error)(a, code, "%s", text);
}

void
archive_entry_copy_pathname(struct archive_entry *e, const char *path)
{
	LATE(archive_entry_copy_pathname)(e, path);
}

void
archive_entry_copy_symlink(struct archive_entry *e, const char *to)
{
	LATE(archive_entry_copy_symlink)(e, to);
}

mode_t
archive_entry_filetype(struct archive_entry *e)
{
	return LATE(archive_entry_filetype)(e);
}

void
archive_entry_free(struct archive_entry *e)
{
	LATE(archive_entry_free)(e);
}

const char *
archive_entry_hardlink(struct archive_entry *e)
{
	return LATE(archive_entry_hardlink)(e);
}

int
archive_entry_is_encrypted(struct archive_entry *e)
{
	return LATE(archive_entry_is_encrypted)(e);
}

struct archive_entry *
archive_entry_new(void)
{
	return LATE(archive_entry_new)();
}

const char *
archive_entry_pathname(struct archive_entry *e)
{
	return LATE(archive_entry_pathname)(e);
}

mode_t
archive_entry_perm(struct archive_entry *e)
{
	return LATE(archive_entry_perm)(e);
}

void
archive_entry_set_mode(struct archive_entry *e, mode_t mode)
{
	LATE(archive_entry_set_mode)(e, mode);
}

void
archive_entry_set_mtime(struct archive_entry *e, time_t s, long ns)
{
	LATE(archive_entry_set_mtime)(e, s, ns);
}

void
archive_entry_set_size(struct archive_entry *e, la_int64_t size)
{
	LATE(archive_entry_set_size)(e, size);
}

const char *
archive_entry_symlink(struct archive_entry *e)
{
	return LATE(archive_entry_symlink)(e);
}

const char *
archive_error_string(struct archive *a)
{
	return LATE(archive_error_string)(a);
}

la_ssize_t
archive_read_data(struct archive *a, void *p, size_t len)
{
	return LATE(archive_read_data)(a, p, len);
}

int
archive_read_free(struct archive *a)
{
	return LATE(archive_read_free)(a);
}

struct archive *
archive_read_new(void)
{
	return LATE(archive_read_new)();
}

int
archive_read_next_header(struct archive *a, struct archive_entry **ret)
{
	return LATE(archive_read_next_header)(a, ret);
}

int
archive_read_open(struct archive *a, void *data, archive_open_callback *open, archive_read_callback *read,
		  archive_close_callback *close)
{
	return LATE(archive_read_open)(a, data, open, read, close);
}

int
archive_read_open_fd(struct archive *a, int fd, size_t block)
{
	return LATE(archive_read_open_fd)(a, fd, block);
}

int
archive_read_support_filter_xz(struct archive *a)
{
	return LATE(archive_read_support_filter_xz)(a);
}

int
archive_read_support_filter_zstd(struct archive *a)
{
	return LATE(archive_read_support_filter_zstd)(a);
}

int
archive_read_support_format_tar(struct archive *a)
{
	return LATE(archive_read_support_format_tar)(a);
}

int
archive_read_support_format_zip(struct archive *a)
{
	return LATE(archive_read_support_format_zip)(a);
}

int
archive_write_add_filter_gzip(struct archive *a)
{
	return LATE(archive_write_add_filter_gzip)(a);
}

int
archive_write_add_filter_xz(struct archive *a)
{
	return LATE(archive_write_add_filter_xz)(a);
}

int
archive_write_add_filter_zstd(struct archive *a)
{
	return LATE(archive_write_add_filter_zstd)(a);
}

int
archive_write_close(struct archive *a)
{
	return LATE(archive_write_close)(a);
}

la_ssize_t
archive_write_data(struct archive *a, const void *p, size_t len)
{
	return LATE(archive_write_data)(a, p, len);
}

int
archive_write_fail(struct archive *a)
{
	return LATE(archive_write_fail)(a);
}

int
archive_write_free(struct archive *a)
{
	return LATE(archive_write_free)(a);
}

int
archive_write_header(struct archive *a, struct archive_entry *e)
{
	return LATE(archive_write_header)(a, e);
}

struct archive *
archive_write_new(void)
{
	return LATE(archive_write_new)();
}

int
archive_write_open(struct archive *a, void *data, archive_open_callback *open, archive_write_callback *write,
		   archive_close_callback *close)
{
	return LATE(archive_write_open)(a, data, open, write, close);
}

int
archive_write_set_bytes_in_last_block(struct archive *a, int bytes)
{
	return LATE(archive_write_set_bytes_in_last_block)(a, bytes);
}

int
archive_write_set_filter_option(struct archive *a, const char *filter, const char *option, const char *value)
{
	return LATE(archive_write_set_filter_option)(a, filter, option, value);
}

int
archive_write_set_format_pax_restricted(struct archive *a)
{
	return LATE(archive_write_set_format_pax_restricted)(a);
}

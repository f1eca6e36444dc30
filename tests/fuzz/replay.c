/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over saved inputs, for builds without libFuzzer: every file of the folders it is given. An input
 * that crashes ends the program; an empty or missing folder is a failure, so that a corpus cannot be lost unseen. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The allocation is of the exact size, so that a sanitizer sees the first byte read past the end. */
static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long size;
	int ret = -1;

	if (!f)
		return -1;
	if (fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) < 0)
		goto out;
	data = malloc(size ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
		goto out;
	LLVMFuzzerTestOneInput(data, (size_t)size);
	ret = 0;
out:
	free(data);
	fclose(f);
	return ret;
}

static int
replay_folder(const char *folder, unsigned *done)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	if (!d)
		return -1;
	while ((e = readdir(d))) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (replay_file(path) < 0) {
			fprintf(stderr, "cannot read %s\n", path);
			closedir(d);
			return -1;
		}
		(*done)++;
	}
	closedir(d);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned done = 0;

	for (int i = 1; i < argc; i++)
		if (replay_folder(argv[i], &done) < 0)
			fprintf(stderr, "cannot read the folder %s\n", argv[i]);
	printf("%u inputs replayed\n", done);
	return done ? 0 : 1;
}

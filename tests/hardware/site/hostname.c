/* A name of its own for each agent of the simulated site, which all run on one machine: put in
 * front of gethostname(2) with LD_PRELOAD, it gives what WATTLAS_SITE_HOST says. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int gethostname(char *name, size_t size) {
    const char *given = getenv("WATTLAS_SITE_HOST");
    if (!given)
        given = "localhost";
    if (strlen(given) + 1 > size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, given, strlen(given) + 1);
    return 0;
}

/* Tests of chapter K: ref/similarity.c against spec/06-similarity.md. */
#include <check.h>
#include <stdlib.h>

#include "similarity.h"

int main(void)
{
    Suite *s = suite_create("similarity");
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Chapter G: cosine gates, StableMoE, DeepSeek-V3 (spec/02-gate.md). */
#include <check.h>
#include <stdlib.h>

int main(void)
{
    Suite *s = suite_create("gate_cosine");
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/**
 * The tiers whose files take longest come first, so that short ones fill the last minute. Within a tier: what failed the last time, and then what took
 * longest.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { TIERS, type Tier } from './tiers.ts';

const rank = ({ project }: TestSpecification): number => -TIERS.indexOf(project.name.split(' ')[0] as Tier);

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

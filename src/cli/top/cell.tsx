// One cell of the screen: a text, cut to its width.
import cliTruncate from 'cli-truncate';
import { Box, Text, Transform } from 'ink';

/**
 * Ink keeps every text that it has ever measured. What changes all the time is therefore given to it as it paints, in
 * place of a blank, whose size is known.
 */
export function Cell({ text, width }: { text: string; width: number }) {
  if (width < 1) return null;
  return (
    <Box width={width} height={1} flexShrink={0}>
      <Transform transform={() => cliTruncate(text, width)}>
        <Text> </Text>
      </Transform>
    </Box>
  );
}

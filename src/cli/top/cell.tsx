// One cell of the screen: text cut to a width.
import cliTruncate from 'cli-truncate';
import { Box, Text, Transform } from 'ink';

/**
 * Ink caches every text that it has measured. So changing text is passed as it paints, in place of a blank whose size
 * is known.
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

type Read = (name: string) => string | undefined;

/** The variable `name`; a function that lacks one must not start. */
export function required(name: string, read: Read = Deno.env.get): string {
  const value = read(name);
  if (!value) throw new Error(`${name} is not set; give it with: supabase secrets set ${name}=...`);
  return value;
}

/** The key that acts as service_role: hosted projects give a list, the local stack the key alone as well. */
export function secretKey(read: Read = Deno.env.get): string {
  const listed = read("SUPABASE_SECRET_KEYS");
  const named: Record<string, string> = listed ? JSON.parse(listed) : {};
  return named.default ?? read("SUPABASE_SECRET_KEY") ?? required("SUPABASE_SERVICE_ROLE_KEY", read);
}

/** The key that any client may hold, by the names that hosted projects and the local stack give it. */
export function publishableKey(read: Read = Deno.env.get): string {
  const listed = read("SUPABASE_PUBLISHABLE_KEYS");
  const named: Record<string, string> = listed ? JSON.parse(listed) : {};
  return named.default ?? read("SUPABASE_PUBLISHABLE_KEY") ?? required("SUPABASE_ANON_KEY", read);
}
